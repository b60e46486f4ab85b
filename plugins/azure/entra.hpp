// Access tokens of Entra ID by client credentials.
//
// Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow", the case of a shared
// secret; RFC 6749, sections 4.4 and 5.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::azure {

struct EntraClient {
  std::string token_endpoint{};
  std::string client_id{};
  std::string client_secret{};
  std::string scope{};
};

// Any thread. The secret goes to the token endpoint and nowhere else: redirects are not followed.
class EntraTokens {
 public:
  // `http` is borrowed and outlives this.
  EntraTokens(EntraClient client, common::HttpClient& http) : client_(std::move(client)), http_(http) {}

  // The token that is kept, or a new one five minutes before that ends; `cancelled` ends asking early.
  common::Outcome<std::string> get(const std::function<bool()>& cancelled);

  // The service took it.
  void accepted(const std::string& token);
  // The service refused it: it is not given out again. True when it had been taken before, so that a new
  // one may be.
  bool rejected(const std::string& token);

 private:
  common::Outcome<std::string> fetch(const std::function<bool()>& cancelled);
  common::Outcome<std::string> keep(const common::HttpResponse& answer);

  const EntraClient client_;
  common::HttpClient& http_;
  std::mutex mutex_;  // held while the endpoint is asked: others wait for the same answer
  // Under mutex_:
  std::string token_;
  bool accepted_ = false;
  std::chrono::steady_clock::time_point good_until_;
};

}  // namespace otagate::azure
