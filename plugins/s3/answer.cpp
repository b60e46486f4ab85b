#include "s3/answer.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "otagate/storage.h"
#include "s3/list_xml.hpp"

namespace otagate::s3 {
namespace {

// AWS refuses requests that are more than 15 minutes off.
constexpr std::int64_t kSkewSeconds = 15 * 60;

struct Known {
  std::string_view code;
  std::uint32_t status;
  std::string_view advice;
};

constexpr Known kCodes[] = {
    {"NoSuchKey", OTAGATE_NOT_FOUND, ""},
    {"NoSuchVersion", OTAGATE_NOT_FOUND, ""},
    {"NoSuchBucket", OTAGATE_PERMANENT, "check 'bucket' and 'endpoint'"},
    {"AccessDenied", OTAGATE_DENIED,
     "the key needs s3:ListBucket on the bucket and s3:GetObject on its objects"},
    {"AllAccessDisabled", OTAGATE_DENIED, ""},
    {"AccountProblem", OTAGATE_DENIED, ""},
    {"InvalidAccessKeyId", OTAGATE_DENIED, "check 'access_key'"},
    {"XAdminUserNotFound", OTAGATE_DENIED, "check 'access_key'"},  // versitygw's word for the same
    {"SignatureDoesNotMatch", OTAGATE_DENIED, "check 'secret_key' and 'region'"},
    {"InvalidToken", OTAGATE_DENIED, "check 'session_token'"},
    {"ExpiredToken", OTAGATE_DENIED, "temporary credentials have ended: renew 'session_token'"},
    {"TokenRefreshRequired", OTAGATE_DENIED, "temporary credentials have ended: renew 'session_token'"},
    {"RequestTimeTooSkewed", OTAGATE_CLOCK, ""},
    {"RequestExpired", OTAGATE_CLOCK, ""},
    {"AuthorizationHeaderMalformed", OTAGATE_PERMANENT, "check 'region'"},
    {"InvalidRegion", OTAGATE_PERMANENT, "check 'region'"},
    {"PermanentRedirect", OTAGATE_PERMANENT, "check 'endpoint' and 'region'"},
    {"TemporaryRedirect", OTAGATE_TRANSIENT, "the bucket's address is not known everywhere yet"},
    {"InvalidObjectState", OTAGATE_PERMANENT, "the object is archived: restore it first"},
    {"PreconditionFailed", OTAGATE_CHANGED, ""},
    {"ConditionalRequestConflict", OTAGATE_TRANSIENT, ""},
    {"OperationAborted", OTAGATE_TRANSIENT, ""},
    {"RequestTimeout", OTAGATE_TRANSIENT, ""},
    {"InternalError", OTAGATE_TRANSIENT, ""},
    {"SlowDown", OTAGATE_THROTTLED, ""},
    {"SlowDownRead", OTAGATE_THROTTLED, ""},
    {"SlowDownWrite", OTAGATE_THROTTLED, ""},
    {"Throttling", OTAGATE_THROTTLED, ""},
    {"ThrottlingException", OTAGATE_THROTTLED, ""},
    {"RequestLimitExceeded", OTAGATE_THROTTLED, ""},
    {"BandwidthLimitExceeded", OTAGATE_THROTTLED, ""},
    {"TooManyRequests", OTAGATE_THROTTLED, ""},
    {"NotImplemented", OTAGATE_UNSUPPORTED, ""},
};

const Known* find_code(std::string_view code) {
  const auto* found =
      std::find_if(std::begin(kCodes), std::end(kCodes), [&](const Known& k) { return k.code == code; });
  return found == std::end(kCodes) ? nullptr : found;
}

bool expired_code(std::string_view code) { return code == "ExpiredToken" || code == "TokenRefreshRequired"; }

std::string clock_words(const common::HttpHead& head, std::optional<std::int64_t> signed_at) {
  std::string words = "the server says that this machine's clock is wrong";
  const std::optional<std::int64_t> theirs = server_time(head);
  if (theirs && signed_at) words += " by " + std::to_string(std::llabs(*theirs - *signed_at)) + " s";
  return words;
}

}  // namespace

std::optional<std::int64_t> server_time(const common::HttpHead& head) {
  const std::string* date = head.find("date");
  return date ? common::parse_http_date(*date) : std::nullopt;
}

bool says_expired(const common::HttpResponse& response) {
  return response.head.status >= 400 && expired_code(parse_error(response.body).code);
}

common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context) {
  common::Failure failure = common::status_failure(response.head, context.method, context.url);
  const ErrorDocument error = parse_error(response.body);
  std::string advice;
  if (const Known* known = find_code(error.code)) {
    failure.status = known->status;
    advice = known->advice;
  } else if (response.head.status == 400 && !context.of_bucket) {
    failure.status = OTAGATE_INVALID;  // a key that this server cannot hold
  } else if (failure.status == OTAGATE_DENIED) {
    advice = "check the credentials and what they may do";
  }
  if (failure.status == OTAGATE_NOT_FOUND && context.of_bucket) {
    failure.status = OTAGATE_PERMANENT;
    advice = "check 'bucket' and 'endpoint'";
  }
  if (expired_code(error.code) && context.temporary_credentials) {
    failure.status = OTAGATE_TRANSIENT;
    advice = "fetching new ones";
  }
  if (error.code.empty() && response.head.status == 403 && context.signed_at) {
    const std::optional<std::int64_t> theirs = server_time(response.head);
    if (theirs && std::llabs(*theirs - *context.signed_at) > kSkewSeconds) failure.status = OTAGATE_CLOCK;
  }
  if (failure.status == OTAGATE_CLOCK) advice = clock_words(response.head, context.signed_at);

  const std::string* header_region = response.head.find("x-amz-bucket-region");
  const std::string region = !error.region.empty() ? error.region
                             : header_region       ? common::printable(*header_region, 64)
                                                   : std::string();
  const bool misplaced =
      response.head.status == 301 || response.head.status == 307 || response.head.status == 400;
  if (misplaced && !region.empty() && region != context.region) {
    advice = "bucket '" + std::string(context.bucket) + "' is in region '" + region + "': set 'region' to it";
  } else if (response.head.status == 301 && !error.endpoint.empty()) {
    advice =
        "bucket '" + std::string(context.bucket) + "' is at '" + error.endpoint + "': set 'endpoint' to it";
  }
  if (!error.code.empty()) failure.message += ", " + error.code;
  if (!error.message.empty()) failure.message += ": " + error.message;
  if (!advice.empty()) failure.message += "; " + advice;
  return failure;
}

std::string make_token(std::string_view etag, std::uint64_t size) {
  return std::string(etag) + "/" + (size == OTAGATE_SIZE_UNKNOWN ? "?" : std::to_string(size));
}

std::optional<Token> parse_token(std::string_view token) {
  const std::size_t slash = token.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view size = token.substr(slash + 1);
  const std::optional<std::uint64_t> number = size == "?" ? OTAGATE_SIZE_UNKNOWN : parse_decimal(size);
  if (!number) return std::nullopt;
  return Token{std::string(token.substr(0, slash)), *number};
}

std::string etag_of(const common::HttpHead& head) {
  const std::string* etag = head.find("etag");
  if (!etag) return {};
  std::string_view text = *etag;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  if (!value.starts_with("bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ContentRange range;
  range.total = OTAGATE_SIZE_UNKNOWN;
  if (value.substr(slash + 1) != "*") {
    const std::optional<std::uint64_t> total = parse_decimal(value.substr(slash + 1));
    if (!total) return std::nullopt;
    range.total = *total;
  }
  const std::string_view span = value.substr(0, slash);
  if (span == "*") return range;
  const std::size_t dash = span.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> first = parse_decimal(span.substr(0, dash));
  const std::optional<std::uint64_t> last = parse_decimal(span.substr(dash + 1));
  if (!first || !last || *last < *first || *last >= range.total) return std::nullopt;
  range.satisfied = true;
  range.first = *first;
  range.last = *last;
  return range;
}

std::string checksum_of(const common::HttpHead& head) {
  const std::string* base64 = head.find("x-amz-checksum-sha256");
  const std::string* type = head.find("x-amz-checksum-type");
  if (!base64 || base64->size() != 44 || (type && *type != "FULL_OBJECT")) return {};
  unsigned char digest[48];
  const int size = EVP_DecodeBlock(digest, reinterpret_cast<const unsigned char*>(base64->data()),
                                   static_cast<int>(base64->size()));
  if (size != 33) return {};  // 32 and the byte that the padding stands for
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 32; ++i) {
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

}  // namespace otagate::s3
