// What S3's answers say: failures, entity tags, ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::s3 {

struct FailureContext {
  std::string_view method{};
  std::string_view url{};
  std::string_view bucket{};
  std::string_view region{};
  bool of_bucket = false;              // not of an object: then "not found" is a mistake of the configuration
  bool temporary_credentials = false;  // then an expired token is worth another try
  std::optional<std::int64_t> signed_at{};  // seconds since 1970, when the request was signed
};

// The class by S3's own code where there is a document, else by the status. A 403 without a document
// (HEAD) whose Date is far from signed_at is OTAGATE_CLOCK, too.
common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context);

// Whether the credentials have been called expired, so that cached ones should be dropped.
bool says_expired(const common::HttpResponse& response);

// The Date of an answer, seconds since 1970.
std::optional<std::int64_t> server_time(const common::HttpHead& head);

// A change token is ETag and size: an ETag alone may be that of the same name before a re-upload with
// other parts, and some servers make it of the modification time.
std::string make_token(std::string_view etag, std::uint64_t size);
struct Token {
  std::string etag{};
  std::uint64_t size = 0;
};
std::optional<Token> parse_token(std::string_view token);

// The ETag header without quotes; "" when there is none.
std::string etag_of(const common::HttpHead& head);

// Content-Range (RFC 9110, 14.4): "bytes 0-9/443" or "bytes */443".
struct ContentRange {
  bool satisfied = false;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t total = 0;  // OTAGATE_SIZE_UNKNOWN for "*"
};
std::optional<ContentRange> parse_content_range(std::string_view value);

std::optional<std::uint64_t> parse_decimal(std::string_view text);

// The SHA-256 of the whole object as 64 hex digits, when the answer to HEAD vouches for it ("" else):
// x-amz-checksum-sha256 is base64, and of the parts' digests ("...-3") for multipart uploads.
std::string checksum_of(const common::HttpHead& head);

}  // namespace otagate::s3
