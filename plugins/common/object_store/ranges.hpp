// Ranges, entity tags and change tokens, as HTTP says them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/http_client.hpp"

namespace otagate::common {

// A change token is ETag and size: an ETag alone may be that of the same name before a re-upload with
// other parts, and some servers make it of the modification time.
std::string make_token(std::string_view etag, std::uint64_t size);
struct Token {
  std::string etag{};
  std::uint64_t size = 0;
};
std::optional<Token> parse_token(std::string_view token);

std::string unquoted(std::string_view etag);
std::string in_quotes(std::string_view etag);
// The ETag header without quotes; "" when there is none.
std::string etag_of(const HttpHead& head);

// The value of a Range header; a length of 0 is one to the end.
std::string byte_range(std::uint64_t offset, std::uint64_t length);

// Content-Range (RFC 9110, 14.4): "bytes 0-9/443" or "bytes */443".
struct ContentRange {
  bool satisfied = false;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;  // OTAGATE_SIZE_UNKNOWN for "*"
};
std::optional<ContentRange> parse_content_range(std::string_view value);

// Digits and nothing else.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
// The Content-Length, OTAGATE_SIZE_UNKNOWN when there is none.
std::uint64_t content_length(const HttpHead& head);

// "2009-10-12T17:50:30.000Z" in milliseconds since 1970, 0 when it is something else.
std::int64_t parse_iso8601_ms(std::string_view text);

}  // namespace otagate::common
