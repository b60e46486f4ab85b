#include "common/http_client/classify.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <ctime>

#include "common/http_client/url.hpp"

namespace otagate::common {
namespace {

constexpr std::uint64_t kLongestWaitMs = 24ull * 3600 * 1000;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view value) {
  value = trimmed(value);
  // The longest form is "Wednesday, 06-Nov-94 08:49:37 GMT". A letter first keeps out the numbers that
  // curl_getdate() would take for something.
  if (value.size() < 24 || value.size() > 40 || value.find('\0') != std::string_view::npos)
    return std::nullopt;
  if (!((value[0] >= 'A' && value[0] <= 'Z') || (value[0] >= 'a' && value[0] <= 'z'))) return std::nullopt;
  const std::string copy(value);
  const std::time_t when = curl_getdate(copy.c_str(), nullptr);
  if (when == -1) return std::nullopt;
  return when;
}

std::optional<std::uint64_t> parse_retry_after(std::string_view value, std::int64_t now_unix) {
  value = trimmed(value);
  if (value.empty()) return std::nullopt;
  if (value.find_first_not_of("0123456789") == std::string_view::npos) {
    std::uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc{} || seconds > kLongestWaitMs / 1000) return kLongestWaitMs;
    return seconds * 1000;
  }
  const std::optional<std::int64_t> when = parse_http_date(value);
  if (!when) return std::nullopt;
  if (*when <= now_unix) return 0;
  // Both lie within the range of HTTP dates or of a clock, so the difference cannot overflow unsigned.
  const std::uint64_t seconds = static_cast<std::uint64_t>(*when) - static_cast<std::uint64_t>(now_unix);
  return std::min(seconds, kLongestWaitMs / 1000) * 1000;
}

std::uint64_t retry_after_ms(const HttpHead& head) {
  const std::string* value = head.find("retry-after");
  if (!value) return 0;
  std::int64_t now = std::time(nullptr);
  if (const std::string* date = head.find("date")) now = parse_http_date(*date).value_or(now);
  return parse_retry_after(*value, now).value_or(0);
}

std::uint32_t classify_status(long status, bool has_retry_after) {
  switch (status) {
    case 304: return OTAGATE_OK;
    case 401:
    case 403:
    case 407: return OTAGATE_DENIED;
    case 404:
    case 410: return OTAGATE_NOT_FOUND;
    case 408:
    case 409:
    case 425: return OTAGATE_TRANSIENT;
    case 412: return OTAGATE_CHANGED;
    case 416: return OTAGATE_INVALID;
    case 429: return OTAGATE_THROTTLED;
    case 501:
    case 505: return OTAGATE_UNSUPPORTED;
    case 503: return has_retry_after ? OTAGATE_THROTTLED : OTAGATE_TRANSIENT;
    default: break;
  }
  if (status >= 200 && status < 300) return OTAGATE_OK;
  if (status >= 500 && status < 600) return OTAGATE_TRANSIENT;
  return OTAGATE_PERMANENT;
}

std::string_view reason_phrase(long status) {
  switch (status) {
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 416: return "Range Not Satisfiable";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return "";
  }
}

Failure status_failure(const HttpHead& head, std::string_view method, std::string_view url) {
  const bool has_retry_after = head.find("retry-after") != nullptr;
  Failure failure;
  failure.status = classify_status(head.status, has_retry_after);
  if (failure.status == OTAGATE_OK) failure.status = OTAGATE_PERMANENT;  // a success where none was expected
  failure.retry_after_ms = retry_after_ms(head);
  failure.message = std::string(method) + " " + redacted_url(url) + ": " + std::to_string(head.status);
  if (const std::string_view reason = reason_phrase(head.status); !reason.empty()) {
    failure.message.append(" ").append(reason);
  }
  return failure;
}

}  // namespace otagate::common
