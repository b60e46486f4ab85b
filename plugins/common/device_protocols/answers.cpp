#include "common/device_protocols/answers.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include <boost/json.hpp>

namespace otagate::plugins::devices {
namespace {

constexpr std::uint64_t kRetryAfterMs = 5000;  // where the gateway names no time

int status_of(std::uint32_t status) {
  switch (status) {
    case OTAGATE_DENIED: return 403;
    case OTAGATE_NOT_FOUND: return 404;
    case OTAGATE_INVALID: return 400;
    case OTAGATE_UNSUPPORTED: return 501;
    case OTAGATE_PRECONDITION: return 412;
    case OTAGATE_AMBIGUOUS: return 409;
    case OTAGATE_REJECTED:
    case OTAGATE_PERMANENT: return 502;
    default: return try_later(status) ? 503 : 500;
  }
}

std::string_view sentence_for(int status) {
  switch (status) {
    case 403: return "this credential may not do that";
    case 404: return "there is no such thing here";
    case 400: return "the request makes no sense to the gateway";
    case 501: return "this gateway cannot do that";
    case 412: return "bytes that this device already has failed verification: start again at offset 0";
    case 409: return "several device types have that name and version: say which type this device is";
    case 502: return "the store cannot deliver this firmware, or its bytes failed verification";
    case 503: return "the gateway cannot do that just now: ask again later";
    default: return "the gateway failed; its log says why";
  }
}

}  // namespace

std::string_view Request::parameter(std::string_view key) const {
  const auto found =
      std::find_if(query.begin(), query.end(), [&](const auto& pair) { return pair.first == key; });
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

bool try_later(std::uint32_t status) {
  switch (status) {
    case OTAGATE_TRANSIENT:
    case OTAGATE_CHANGED:
    case OTAGATE_CLOCK:
    case OTAGATE_THROTTLED:
    case OTAGATE_CANCELLED:
    case OTAGATE_DEADLINE:
    case OTAGATE_BUSY:
    case OTAGATE_NO_SPACE: return true;
    default: return false;
  }
}

std::uint32_t seconds_of(std::uint64_t milliseconds) {
  const std::uint64_t seconds = milliseconds / 1000 + (milliseconds % 1000 != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(seconds, 1, std::numeric_limits<std::int32_t>::max()));
}

Response json_response(int status, std::string body) {
  Response out;
  out.status = status;
  out.content_type = "application/json";
  out.body = std::move(body);
  return out;
}

Response problem(int status, std::string_view message) {
  boost::json::object body;
  body["error"] = message;
  return json_response(status, boost::json::serialize(body) + "\n");
}

Response method_not_allowed(std::string_view allowed) {
  Response out = problem(405, "this resource takes " + std::string(allowed) + " only");
  out.headers.emplace_back("Allow", allowed);
  return out;
}

Response refusal(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message) {
  const int code = status_of(status);
  Response out = problem(code, message.empty() ? sentence_for(code) : message);
  if (code == 503) out.retry_after = seconds_of(retry_after_ms == 0 ? kRetryAfterMs : retry_after_ms);
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number > max) return std::nullopt;
  return number;
}

}  // namespace otagate::plugins::devices
