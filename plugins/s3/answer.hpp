// What S3's answers say: failures and checksums.
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

// The SHA-256 of the whole object as 64 hex digits, when the answer to HEAD vouches for it ("" else):
// x-amz-checksum-sha256 is base64, and of the parts' digests ("...-3") for multipart uploads.
std::string checksum_of(const common::HttpHead& head);

}  // namespace otagate::s3
