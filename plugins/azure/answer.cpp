#include "azure/answer.hpp"

#include <string>

#include "azure/list_xml.hpp"
#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/known_codes.hpp"
#include "common/object_store/signing_clock.hpp"
#include "otagate/storage.h"

namespace otagate::azure {
namespace {

// "Blob Storage error codes" and "Common REST API error codes", as far as the status alone says too little.
constexpr common::KnownCode kCodes[] = {
    {"BlobNotFound", OTAGATE_NOT_FOUND, ""},
    {"ContainerNotFound", OTAGATE_PERMANENT, "check 'container' and 'endpoint'"},
    {"ContainerDisabled", OTAGATE_PERMANENT, ""},
    {"ContainerBeingDeleted", OTAGATE_TRANSIENT, ""},
    {"InvalidResourceName", OTAGATE_PERMANENT, "check 'container' and the blob's name"},
    {"AccountIsDisabled", OTAGATE_DENIED, ""},
    {"AccountBeingCreated", OTAGATE_TRANSIENT, ""},
    {"AuthorizationPermissionMismatch", OTAGATE_DENIED,
     "the credentials must be allowed to list the container and to read its blobs"},
    {"AuthorizationProtocolMismatch", OTAGATE_DENIED, "the SAS is for https only: check 'endpoint'"},
    {"AuthorizationSourceIPMismatch", OTAGATE_DENIED, "the SAS is for other addresses than this machine's"},
    {"InsufficientAccountPermissions", OTAGATE_DENIED, ""},
    {"KeyBasedAuthenticationNotPermitted", OTAGATE_DENIED,
     "the account takes no keys: use 'client_id' and 'client_secret'"},
    {"PublicAccessNotPermitted", OTAGATE_DENIED, "the account allows no anonymous readers"},
    {"NoAuthenticationInformation", OTAGATE_DENIED, "the container is not public: give credentials"},
    {"ConditionNotMet", OTAGATE_CHANGED, ""},
    {"TargetConditionNotMet", OTAGATE_CHANGED, ""},
    {"BlobModifiedWhileReading", OTAGATE_CHANGED, ""},
    {"LeaseIdMissing", OTAGATE_PERMANENT, "somebody holds a lease on the blob"},
    {"BlobImmutableDueToPolicy", OTAGATE_PERMANENT, "the container's policy forbids to change blobs"},
    {"BlobArchived", OTAGATE_PERMANENT, "the blob is archived: rehydrate it first"},
    {"BlobBeingRehydrated", OTAGATE_TRANSIENT, ""},
    {"ServerBusy", OTAGATE_THROTTLED, ""},
    {"EgressIsOverAccountLimit", OTAGATE_THROTTLED, ""},
    {"IngressIsOverAccountLimit", OTAGATE_THROTTLED, ""},
    {"TooManyRequests", OTAGATE_THROTTLED, ""},
    {"OperationTimedOut", OTAGATE_TRANSIENT, ""},
    {"InternalError", OTAGATE_TRANSIENT, ""},
    {"Md5Mismatch", OTAGATE_TRANSIENT, "the bytes were changed on the way"},
};

std::string code_of(const common::HttpResponse& response, const ErrorDocument& document) {
  const std::string* header = response.head.find("x-ms-error-code");
  return header ? common::printable(*header, 64) : document.code;
}

bool unauthenticated(long status, const std::string& code) {
  return status == 401 || code == "AuthenticationFailed" || code == "InvalidAuthenticationInfo";
}

std::string_view what_to_check(Access::Kind access) {
  switch (access) {
    case Access::Kind::shared_key: return "check 'account' and 'account_key' (or 'connection_string')";
    case Access::Kind::sas: return "check 'sas_token' (or 'connection_string')";
    case Access::Kind::entra:
      return "check 'client_id', 'tenant' and 'endpoint', and the roles on the container";
    case Access::Kind::anonymous: break;
  }
  return "the container is not public: give credentials";
}

// Azure does not repeat a signature where it is shown, but others on the way may.
std::string without_signature(std::string text, std::string_view sas) {
  const std::size_t at = sas.starts_with("sig=") ? 0 : sas.find("&sig=");
  if (sas.empty() || at == std::string_view::npos) return text;
  const std::size_t first = sas.find('=', at) + 1;
  const std::string encoded(sas.substr(first, sas.find('&', first) - first));
  for (const std::string& secret : {encoded, common::percent_decode(encoded)}) {
    if (secret.empty()) continue;
    for (std::size_t found = 0; (found = text.find(secret, found)) != std::string::npos; found += 3)
      text.replace(found, secret.size(), "...");
  }
  return text;
}

}  // namespace

bool says_unauthenticated(const common::HttpResponse& response) {
  return response.head.status >= 400 &&
         unauthenticated(response.head.status, code_of(response, parse_error(response.body)));
}

common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context) {
  common::Failure failure = common::status_failure(response.head, context.method, context.url);
  const ErrorDocument document = parse_error(response.body);
  const std::string code = code_of(response, document);
  std::string advice;
  if (unauthenticated(response.head.status, code)) failure.status = OTAGATE_DENIED;
  if (const common::KnownCode* known = common::find_code(kCodes, code)) {
    failure.status = known->status;
    advice = known->advice;
  } else if (response.head.status == 400 && !context.of_container && failure.status != OTAGATE_DENIED) {
    failure.status = OTAGATE_INVALID;  // a name that the service cannot hold
  }
  if (failure.status == OTAGATE_NOT_FOUND && context.of_container) {
    failure.status = OTAGATE_PERMANENT;
    advice = "check 'container', 'account' and 'endpoint'";
  }
  if (failure.status == OTAGATE_DENIED && context.of_service)
    advice = "to sign URLs the application needs the role 'Storage Blob Delegator' on the account";
  if (failure.status == OTAGATE_DENIED && (advice.empty() || context.access == Access::Kind::anonymous))
    advice = what_to_check(context.access);
  if (code == "AuthorizationFailure") advice += "; or the account's network rules are in the way";
  if (failure.status == OTAGATE_DENIED && context.tags) {
    advice += "; or set 'tags' to false: reading index tags needs a permission of its own";
  }
  if (failure.status == OTAGATE_DENIED && document.out_of_time) advice = "the SAS token has ended: renew it";
  if (failure.status == OTAGATE_DENIED && context.signed_at &&
      common::far_off(response.head, *context.signed_at)) {
    failure.status = OTAGATE_CLOCK;
    advice = common::clock_words(response.head, context.signed_at);
  }
  if (!code.empty()) failure.message += ", " + code;
  if (!document.message.empty()) failure.message += ": " + without_signature(document.message, context.sas);
  if (!advice.empty()) failure.message += "; " + advice;
  return failure;
}

}  // namespace otagate::azure
