#include "common/http_client/curl_failure.hpp"

#include <openssl/x509_vfy.h>

#include "common/http_client/url.hpp"

namespace otagate::common {
namespace {

std::uint32_t status_of(CURLcode code, long verify_result) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return verify_result == X509_V_ERR_CERT_NOT_YET_VALID ? OTAGATE_CLOCK : OTAGATE_PERMANENT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_FUNCTION_ARGUMENT: return OTAGATE_INVALID;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER: return OTAGATE_PERMANENT;
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION: return OTAGATE_INTERNAL;
    // What is left is the network, the peer, or memory: worth another try.
    default: return OTAGATE_TRANSIENT;
  }
}

}  // namespace

Failure curl_failure(CURLcode code, long verify_result, std::string_view detail, std::string_view method,
                     std::string_view url) {
  Failure failure;
  failure.status = status_of(code, verify_result);
  failure.message = std::string(method) + " " + redacted_url(url) + ": ";
  const std::string text = printable(detail.empty() ? curl_easy_strerror(code) : detail, 300);
  // curl quotes URLs only in a few messages, but a signature must be in none.
  failure.message += text.find("X-Amz-") == std::string::npos ? text : curl_easy_strerror(code);
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    switch (verify_result) {
      case X509_V_ERR_CERT_NOT_YET_VALID: failure.message += "; is this machine's clock right?"; break;
      case X509_V_ERR_CERT_HAS_EXPIRED: failure.message += "; renew it, or set this machine's clock"; break;
      default: failure.message += "; name the certificate's issuer with ca_file if it is your own"; break;
    }
  }
  return failure;
}

}  // namespace otagate::common
