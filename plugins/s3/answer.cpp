#include "s3/answer.hpp"

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/digests.hpp"
#include "common/object_store/known_codes.hpp"
#include "common/object_store/signing_clock.hpp"
#include "otagate/storage.h"
#include "s3/list_xml.hpp"

namespace otagate::s3 {
namespace {

constexpr common::KnownCode kCodes[] = {
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

bool expired_code(std::string_view code) { return code == "ExpiredToken" || code == "TokenRefreshRequired"; }

}  // namespace

bool says_expired(const common::HttpResponse& response) {
  return response.head.status >= 400 && expired_code(parse_error(response.body).code);
}

common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context) {
  common::Failure failure = common::status_failure(response.head, context.method, context.url);
  const ErrorDocument error = parse_error(response.body);
  std::string advice;
  if (const common::KnownCode* known = common::find_code(kCodes, error.code)) {
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
  if (error.code.empty() && response.head.status == 403 && context.signed_at &&
      common::far_off(response.head, *context.signed_at)) {
    failure.status = OTAGATE_CLOCK;
  }
  if (failure.status == OTAGATE_CLOCK) advice = common::clock_words(response.head, context.signed_at);

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

std::string checksum_of(const common::HttpHead& head) {
  const std::string* base64 = head.find("x-amz-checksum-sha256");
  const std::string* type = head.find("x-amz-checksum-type");
  if (!base64 || base64->size() != 44 || (type && *type != "FULL_OBJECT")) return {};
  const std::optional<std::string> digest = common::from_base64(*base64);
  return digest && digest->size() == 32 ? common::to_hex(*digest) : std::string();
}

}  // namespace otagate::s3
