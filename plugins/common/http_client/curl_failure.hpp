// libcurl's error codes in the classes of the plugin ABI.
#pragma once

#include <curl/curl.h>

#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::common {

// `verify_result` is OpenSSL's (CURLINFO_SSL_VERIFYRESULT), `detail` what curl wrote, maybe nothing. A
// certificate that is not valid yet is OTAGATE_CLOCK: on a board without a clock it is ours that is wrong.
Failure curl_failure(CURLcode code, long verify_result, std::string_view detail, std::string_view method,
                     std::string_view url);

}  // namespace otagate::common
