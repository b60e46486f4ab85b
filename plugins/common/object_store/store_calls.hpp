// Small things that each call of a store behind HTTP needs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::common {

[[noreturn]] void throw_failure(Failure failure);

template <class T>
T value_or_throw(Outcome<T> outcome) {
  if (outcome) return std::move(*outcome);
  throw_failure(std::move(outcome.error()));
}

// By the options ca_file, proxy, connect_timeout, idle_timeout and low_speed, which every such store has.
// Throws sdk::Failure.
std::unique_ptr<HttpClient> make_http_client(const sdk::StoreHost& host);

// Keys are bytes to the host: 1 to 1,024 of them and no NUL.
bool usable_key(std::string_view key);
void check_key(std::string_view key);  // throws OTAGATE_INVALID

// Metadata travels in headers: printable ASCII is what they carry unchanged.
bool plain_text(std::string_view text);

// The key of an object that is published without one: <name>/<name>-<version>-<start of the digest>.bin,
// or sha256/<digest> where name or version are not known.
std::string name_for(const sdk::PublishRequest& request);

}  // namespace otagate::common
