#include "azure/entra.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"

namespace otagate::azure {
namespace {

using common::fail;
using common::HttpRequest;
using common::HttpResponse;
using common::Outcome;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kRenewBefore{300};
constexpr std::size_t kMaxAnswer = 64 * 1024;
constexpr std::size_t kMaxToken = 16 * 1024;
constexpr std::uint64_t kTimeoutMs = 30'000;

std::string member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// Some authorities write the number as text.
std::int64_t seconds(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  if (value && value->is_int64()) return value->get_int64();
  const std::string text = member(object, name);
  const bool digits =
      !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::stoll(text) : 0;
}

boost::json::object parse_object(const std::string& body) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(body, error);
  return !error && json.is_object() ? json.get_object() : boost::json::object();
}

// RFC 6749, 5.2, with Entra's own words, of which the first line says it.
common::Failure refusal(const HttpResponse& answer, const std::string& url) {
  common::Failure failure = common::status_failure(answer.head, "POST", url);
  const boost::json::object json = parse_object(answer.body);
  const std::string code = member(json, "error");
  if (!code.empty()) {
    const bool later = code == "temporarily_unavailable" || code == "server_error";
    failure.status = later ? OTAGATE_TRANSIENT : OTAGATE_DENIED;
    const std::string words = member(json, "error_description");
    failure.message += ", " + common::printable(code, 60);
    if (!words.empty())
      failure.message += ": " + common::printable(words.substr(0, words.find_first_of("\r\n")), 200);
  } else if (failure.status == OTAGATE_NOT_FOUND || failure.status == OTAGATE_INVALID) {
    failure.status = OTAGATE_PERMANENT;
  }
  if (failure.status == OTAGATE_DENIED || failure.status == OTAGATE_PERMANENT)
    failure.message += "; check 'tenant', 'client_id' and 'client_secret'";
  return failure;
}

}  // namespace

Outcome<std::string> EntraTokens::get(const std::function<bool()>& cancelled) {
  const std::scoped_lock lock(mutex_);
  if (!token_.empty() && Clock::now() < good_until_) return token_;
  Outcome<std::string> fresh = fetch(cancelled);
  if (!fresh) return fail(std::move(fresh.error()).with_context("access token of Entra ID"));
  return fresh;
}

void EntraTokens::accepted(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  if (token == token_) accepted_ = true;
}

bool EntraTokens::rejected(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  if (token != token_) return true;  // there is a newer one
  token_.clear();
  return accepted_;
}

Outcome<std::string> EntraTokens::fetch(const std::function<bool()>& cancelled) {
  const std::string body =
      "grant_type=client_credentials&client_id=" + common::percent_encode(client_.client_id) +
      "&client_secret=" + common::percent_encode(client_.client_secret) +
      "&scope=" + common::percent_encode(client_.scope);
  HttpRequest request;
  request.method = "POST";
  request.url = client_.token_endpoint;
  request.headers = {{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
  request.body = common::HttpBody{body, -1, body.size()};
  request.max_body = kMaxAnswer;
  request.timeout_ms = kTimeoutMs;
  request.cancelled = cancelled;
  const Outcome<HttpResponse> answer = http_.perform(request);
  if (!answer) return fail(answer.error());
  if (answer->head.status != 200) return fail(refusal(*answer, request.url));
  return keep(*answer);
}

// mutex_ is held.
Outcome<std::string> EntraTokens::keep(const HttpResponse& answer) {
  const boost::json::object json = parse_object(answer.body);
  std::string token = member(json, "access_token");
  const bool clean = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty() || token.size() > kMaxToken || !clean) {
    return fail(OTAGATE_PERMANENT, common::redacted_url(client_.token_endpoint) +
                                       ": the answer holds no access token; check 'token_endpoint'");
  }
  const auto lasts = std::chrono::seconds(std::clamp<std::int64_t>(seconds(json, "expires_in"), 0, 86'400));
  good_until_ = Clock::now() + std::max(lasts - kRenewBefore, lasts / 2);
  token_ = token;
  accepted_ = false;
  return token;
}

}  // namespace otagate::azure
