// The time that a store signs its requests with: this machine's, or the server's once that has refused ours.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "common/http_client/http_client.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::common {

// The Date of an answer, seconds since 1970.
std::optional<std::int64_t> server_time(const HttpHead& head);

// Whether the answer's Date is more than 15 minutes from `signed_at`: what S3 and Azure refuse.
bool far_off(const HttpHead& head, std::int64_t signed_at);

// "the server says that this machine's clock is wrong by 3600 s"
std::string clock_words(const HttpHead& head, std::optional<std::int64_t> signed_at);

// Any thread.
class SigningClock {
 public:
  // `subject` is what events name: the bucket or container.
  SigningClock(const sdk::StoreHost& host, std::string subject) : host_(host), subject_(std::move(subject)) {}

  // Seconds since 1970.
  std::int64_t now() const;

  // The server refused our time: sign with its Date from now on. Only a peer that has shown who he is
  // (HttpResponse::peer_trusted) may move our clock, because a wrong one could make us sign requests that
  // are good for later; the event says what became of it.
  void learn(const HttpResponse& response);

 private:
  const sdk::StoreHost& host_;
  const std::string subject_;
  std::atomic<std::int64_t> offset_ = 0;  // seconds to add to the gateway's clock
};

}  // namespace otagate::common
