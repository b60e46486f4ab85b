// hawkBit's DDI as a client sees it: where a target's resources are, what proves who we are, and what a
// refusal means.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "common/http_client/http_client.hpp"
#include "common/http_client/url.hpp"
#include "hawkbit/messages.hpp"
#include "hawkbit/target_tokens.hpp"

namespace otagate::hawkbit {

struct ServerOptions {
  std::string url;  // without /<tenant>/controller/...; a path in front of it is kept
  std::string tenant;
  std::string gateway_token;
  TargetTokens target_tokens;
};

// A failure, and whether the next target would fare the same: no connection, or the server asks for patience.
struct Refusal : common::Failure {
  bool of_server = false;
  long http_status = 0;  // 0: there was no answer
};

// Any thread.
class Server {
 public:
  using Cancelled = std::function<bool()>;
  template <class T>
  using Result = tl::expected<T, Refusal>;

  static common::Outcome<std::unique_ptr<Server>> make(ServerOptions options,
                                                       std::unique_ptr<common::HttpClient> http);

  // `path` below the target's own resource, "" for that itself. The body of the answer.
  Result<std::string> get(std::string_view target, std::string_view path, const Cancelled& cancelled);
  Result<void> post(std::string_view target, const Message& message, const Cancelled& cancelled);
  Result<void> put(std::string_view target, const Message& message, const Cancelled& cancelled);

  const std::string& tenant() const { return options_.tenant; }
  // The value of Authorization for a target; "" where neither it nor the gateway has a token.
  std::string authorization(std::string_view target) const;
  // Whether a URL leads to this server, so that it may see our tokens.
  bool owns(const common::UrlParts& url) const { return url.origin() == origin_; }
  bool loopback() const { return loopback_; }
  bool tls() const { return tls_; }
  common::HttpClient& http() { return *http_; }
  // What a refusal of a request with that target's credentials means, with what to check.
  Refusal refusal(const common::HttpResponse& response, std::string_view method, std::string_view url,
                  std::string_view target) const;

 private:
  Server(ServerOptions options, const common::UrlParts& url, std::unique_ptr<common::HttpClient> http);
  Result<std::string> send(std::string_view method, std::string_view target, std::string_view path,
                           const std::string* body, const Cancelled& cancelled);
  std::string target_url(std::string_view target, std::string_view path) const;

  const ServerOptions options_;
  const std::string origin_;
  const bool loopback_;
  const bool tls_;
  const std::unique_ptr<common::HttpClient> http_;
};

}  // namespace otagate::hawkbit
