// Shared Key: how the Blob service has requests signed. Pure functions.
//
// Source: "Authorize with Shared Key", Azure Storage REST API Reference, version 2015-02-21 and later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/object_store/query.hpp"

namespace otagate::azure {

using common::Params;

// A request as far as its signature sees it.
struct Signable {
  std::string_view method{};
  std::string_view path{};  // percent-encoded, as it is sent
  Params query{};           // not encoded
  Params headers{};         // names in lower case; those that are not signed are passed over
  std::uint64_t content_length = 0;
};

// "Fri, 26 Jun 2015 23:39:12 GMT": the value of x-ms-date.
std::string rfc1123_date(std::int64_t unix_seconds);

std::string string_to_sign(const Signable& what, std::string_view account);

// The value of the Authorization header. `key` in bytes, not base64.
std::string authorization(const Signable& what, std::string_view account, std::string_view key);

}  // namespace otagate::azure
