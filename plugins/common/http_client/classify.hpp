// What an HTTP answer means for the host's retry: the class, and how long the peer asks us to wait.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::common {

// Retry-After (RFC 9110, 10.2.3) in milliseconds: seconds, or a date seen from `now_unix`. nullopt when
// it is neither. A date that has passed gives 0; more than a day gives a day.
std::optional<std::uint64_t> parse_retry_after(std::string_view value, std::int64_t now_unix);

// An HTTP-date in any of its three forms as seconds since 1970.
std::optional<std::int64_t> parse_http_date(std::string_view value);

// The peer's Retry-After, measured on the peer's own clock where it sent a Date; 0: not said.
std::uint64_t retry_after_ms(const HttpHead& head);

// OTAGATE_OK for 2xx and 304. 416 is OTAGATE_INVALID: whoever asked for ranges knows what it means.
std::uint32_t classify_status(long status, bool has_retry_after);

// classify_status() and Retry-After with a message such as "GET https://host/path: 503 Service
// Unavailable". `head.status` must not be a success.
Failure status_failure(const HttpHead& head, std::string_view method, std::string_view url);

// The usual words for a status, "" for an unknown one.
std::string_view reason_phrase(long status);

}  // namespace otagate::common
