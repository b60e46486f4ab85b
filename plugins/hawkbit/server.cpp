#include "hawkbit/server.hpp"

#include <utility>

#include "common/http_client/classify.hpp"
#include "hawkbit/documents.hpp"

namespace otagate::hawkbit {
namespace {

constexpr std::uint64_t kRequestMs = 60'000;

Refusal without_answer(common::Failure failure) {
  Refusal refusal{std::move(failure), false, 0};
  refusal.of_server = refusal.status != OTAGATE_CANCELLED;
  return refusal;
}

}  // namespace

Server::Server(ServerOptions options, const common::UrlParts& url, std::unique_ptr<common::HttpClient> http)
    : options_(std::move(options)),
      origin_(url.origin()),
      loopback_(url.loopback()),
      tls_(url.scheme == "https"),
      http_(std::move(http)) {}

common::Outcome<std::unique_ptr<Server>> Server::make(ServerOptions options,
                                                      std::unique_ptr<common::HttpClient> http) {
  const auto url = common::parse_url(options.url);
  if (!url) return common::fail(OTAGATE_INVALID, "'url': " + url.error().message);
  if (url->has_query || url->has_user)
    return common::fail(OTAGATE_INVALID,
                        "'url' may have neither a user nor a query: tokens have options of their own");
  if (url->path.find("/controller/v1") != std::string::npos)
    return common::fail(OTAGATE_INVALID, "'url' ends before /TENANT/controller/v1, and 'tenant' says which");
  while (options.url.ends_with('/')) options.url.pop_back();
  if (options.gateway_token.empty() && options.target_tokens.empty())
    return common::fail(OTAGATE_INVALID,
                        "set 'gateway_token', or 'target_tokens' for tokens of single targets");
  return std::unique_ptr<Server>(new Server(std::move(options), *url, std::move(http)));
}

std::string Server::target_url(std::string_view target, std::string_view path) const {
  std::string url = options_.url + "/" + common::percent_encode(options_.tenant) + "/controller/v1/" +
                    common::percent_encode(target);
  if (!path.empty()) url.append("/").append(path);
  return url;
}

std::string Server::authorization(std::string_view target) const {
  if (const auto own = options_.target_tokens.find(target); own != options_.target_tokens.end())
    return "TargetToken " + own->second;
  return options_.gateway_token.empty() ? std::string() : "GatewayToken " + options_.gateway_token;
}

Refusal Server::refusal(const common::HttpResponse& response, std::string_view method, std::string_view url,
                        std::string_view target) const {
  Refusal refusal{common::status_failure(response.head, method, url), false, response.head.status};
  refusal.of_server = refusal.status == OTAGATE_THROTTLED || refusal.http_status == 503;
  if (const std::string words = error_message(response.body); !words.empty()) refusal.message += ": " + words;
  if (refusal.status == OTAGATE_DENIED) {
    if (options_.target_tokens.contains(target)) {
      refusal.message += "; check the token of '" + common::printable(target, 64) +
                         "' in 'target_tokens', and that the server has authentication.targettoken.enabled";
    } else if (options_.gateway_token.empty()) {
      refusal.message += "; 'target_tokens' has no token for '" + common::printable(target, 64) +
                         "', and there is no 'gateway_token'";
    } else {
      refusal.message +=
          "; check 'gateway_token', and that the server has authentication.gatewaytoken.enabled";
    }
  }
  return refusal;
}

Server::Result<std::string> Server::send(std::string_view method, std::string_view target,
                                         std::string_view path, const std::string* body,
                                         const Cancelled& cancelled) {
  common::HttpRequest request;
  request.method = method;
  request.url = target_url(target, path);
  request.max_body = kMaxDocument;
  request.timeout_ms = kRequestMs;
  request.cancelled = cancelled;
  request.headers.push_back({"Accept", "application/hal+json, application/json", false});
  if (std::string value = authorization(target); !value.empty())
    request.headers.push_back({"Authorization", std::move(value), true});
  if (body != nullptr) {
    request.headers.push_back({"Content-Type", "application/json", true});
    request.body = common::HttpBody{*body, -1, body->size()};
  }
  auto response = http_->perform(request);
  if (!response) return tl::unexpected(without_answer(std::move(response.error())));
  if (response->head.status < 200 || response->head.status > 299)
    return tl::unexpected(refusal(*response, method, request.url, target));
  return std::move(response->body);
}

Server::Result<std::string> Server::get(std::string_view target, std::string_view path,
                                        const Cancelled& cancelled) {
  return send("GET", target, path, nullptr, cancelled);
}

Server::Result<void> Server::post(std::string_view target, const Message& message,
                                  const Cancelled& cancelled) {
  return send("POST", target, message.path, &message.body, cancelled).map([](const std::string&) {});
}

Server::Result<void> Server::put(std::string_view target, const Message& message,
                                 const Cancelled& cancelled) {
  return send("PUT", target, message.path, &message.body, cancelled).map([](const std::string&) {});
}

}  // namespace otagate::hawkbit
