// What is sent as Authorization: Basic where the registry asks for it, or a token that its token server
// gives for one repository (the distribution token specification), kept until it is about to end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "common/http_client/http_client.hpp"
#include "oci/challenge.hpp"
#include "oci/docker_config.hpp"

namespace otagate::oci {

enum class Access { pull, push };

// Any thread. Credentials go to the registry's own origin and to the realms of `rules`, see judge_realm().
class Authenticator {
 public:
  // `http` is borrowed.
  Authenticator(common::HttpClient& http, Credentials who, RealmRules rules);

  bool anonymous() const { return who_.anonymous(); }

  // What is known to be wanted for `repository`; "" for nothing, as long as nobody has asked.
  std::string known(const std::string& repository, Access access);

  // What to send after a 401 with `head` to a request that had `sent` as its Authorization. An empty text:
  // nothing better is to be had, the 401 stands. Asks a token server where the challenge says so; its
  // failure is that of the call.
  common::Outcome<std::string> answer(const common::HttpHead& head, const std::string& repository,
                                      Access access, const std::string& sent,
                                      const std::function<bool()>& cancelled);

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    std::string header;
    Clock::time_point until;
  };

  std::string basic() const;
  common::Outcome<std::string> fetch_token(const Challenge& challenge, const std::string& scope,
                                           const std::function<bool()>& cancelled);

  common::HttpClient& http_;
  const Credentials who_;
  const RealmRules rules_;
  // One asks for a token at a time: the others find what he got.
  std::timed_mutex asking_;
  std::mutex mutex_;
  bool use_basic_ = false;            // under mutex_
  std::map<std::string, Kept> kept_;  // under mutex_; by scope
};

}  // namespace otagate::oci
