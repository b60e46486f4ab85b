#include "s3/credentials.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "common/http_client/classify.hpp"
#include "common/http_client/http_client.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/signing_clock.hpp"

namespace otagate::s3 {
namespace {

using common::fail;
using common::HttpRequest;
using common::HttpResponse;
using common::Outcome;
using Clock = std::chrono::steady_clock;

constexpr char kInstanceService[] = "http://169.254.169.254";
constexpr char kContainerService[] = "http://169.254.170.2";
constexpr char kRolePath[] = "/latest/meta-data/iam/security-credentials/";
constexpr std::chrono::seconds kRenewBefore{300};
constexpr std::size_t kMaxAnswer = 64 * 1024;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class Fixed : public CredentialSource {
 public:
  explicit Fixed(Credentials credentials) : credentials_(std::move(credentials)) {}
  Outcome<Credentials> get(const std::function<bool()>&) override { return credentials_; }

 private:
  const Credentials credentials_;
};

std::string member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

class Metadata : public CredentialSource {
 public:
  Metadata(std::unique_ptr<common::HttpClient> http, std::string url, std::string authorization,
           bool container)
      : http_(std::move(http)),
        url_(std::move(url)),
        authorization_(std::move(authorization)),
        container_(container) {}

  Outcome<Credentials> get(const std::function<bool()>& cancelled) override {
    const std::scoped_lock lock(mutex_);
    if (!kept_.anonymous() && Clock::now() < good_until_) return kept_;
    Outcome<HttpResponse> answer = container_ ? from_container(cancelled) : from_instance(cancelled);
    if (!answer) return fail(std::move(answer.error()).with_context("credentials of the metadata service"));
    return keep(*answer);
  }
  std::uint64_t seconds_left() const override {
    const std::scoped_lock lock(mutex_);
    const auto left =
        std::chrono::duration_cast<std::chrono::seconds>(good_until_ + kRenewBefore - Clock::now());
    return static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0));
  }
  void reject() override {
    const std::scoped_lock lock(mutex_);
    kept_ = {};
  }
  bool renewable() const override { return true; }

 private:
  Outcome<HttpResponse> ask(const std::string& method, const std::string& url, common::HttpHeader header,
                            const std::function<bool()>& cancelled) {
    HttpRequest request;
    request.method = method;
    request.url = url;
    if (!header.name.empty()) request.headers.push_back(std::move(header));
    if (method == "PUT") request.body = common::HttpBody{};
    request.max_body = kMaxAnswer;
    request.timeout_ms = 5000;
    request.cancelled = cancelled;
    Outcome<HttpResponse> response = http_->perform(request);
    if (response && response->head.status != 200)
      return fail(common::status_failure(response->head, method, url));
    return response;
  }

  Outcome<HttpResponse> from_container(const std::function<bool()>& cancelled) {
    common::HttpHeader header;
    if (!authorization_.empty()) header = {"Authorization", authorization_};
    return ask("GET", url_, header, cancelled);
  }

  Outcome<HttpResponse> from_instance(const std::function<bool()>& cancelled) {
    const Outcome<HttpResponse> session =
        ask("PUT", url_ + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds", "21600"}, cancelled);
    if (!session) return session;
    const common::HttpHeader token = {"X-aws-ec2-metadata-token", session->body};
    const Outcome<HttpResponse> roles = ask("GET", url_ + kRolePath, token, cancelled);
    if (!roles) return roles;
    const std::string role = roles->body.substr(0, roles->body.find_first_of("\r\n"));
    if (role.empty()) return fail(OTAGATE_DENIED, "this machine has no role; attach one to it");
    return ask("GET", url_ + kRolePath + common::percent_encode(role), token, cancelled);
  }

  // mutex_ is held.
  Outcome<Credentials> keep(const HttpResponse& answer) {
    boost::system::error_code error;
    const boost::json::value json = boost::json::parse(answer.body, error);
    const boost::json::object* object = error ? nullptr : json.if_object();
    if (!object) return fail(OTAGATE_TRANSIENT, "the metadata service's answer is no JSON object");
    Credentials fresh{member(*object, "AccessKeyId"), member(*object, "SecretAccessKey"),
                      member(*object, "Token")};
    if (fresh.access_key.empty() || fresh.secret_key.empty()) {
      return fail(OTAGATE_DENIED, "the metadata service gives no keys (" +
                                      common::printable(member(*object, "Code"), 60) + ")");
    }
    // How long they last is the difference of two times that are not ours, where the answer has a Date:
    // a board without a clock must not think that they have ended.
    std::string expiration = member(*object, "Expiration");
    if (expiration.size() == 20) expiration.insert(19, ".000");
    const std::int64_t end = common::parse_iso8601_ms(expiration) / 1000;
    const std::int64_t now = common::server_time(answer.head).value_or(std::time(nullptr));
    const auto lasts = std::chrono::seconds(end == 0 ? 900 : std::clamp<std::int64_t>(end - now, 0, 43'200));
    good_until_ = Clock::now() + lasts - kRenewBefore;
    kept_ = fresh;
    return fresh;
  }

  const std::unique_ptr<common::HttpClient> http_;
  const std::string url_;
  const std::string authorization_;
  const bool container_;
  mutable std::mutex mutex_;      // held while the service is asked: others wait for the same answer
  Credentials kept_;              // under mutex_
  Clock::time_point good_until_;  // under mutex_
};

// Keys must not be asked of, and the container's token not be told to, just anybody over plain HTTP.
bool allowed_container_service(const common::UrlParts& url) {
  return url.scheme == "https" || url.loopback() || url.host == "169.254.170.2" ||
         url.host == "169.254.170.23";
}

}  // namespace

std::unique_ptr<CredentialSource> fixed_credentials(Credentials credentials) {
  return std::make_unique<Fixed>(std::move(credentials));
}

Outcome<std::unique_ptr<CredentialSource>> environment_credentials() {
  Credentials credentials{environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
                          environment("AWS_SESSION_TOKEN")};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return fail(OTAGATE_INVALID,
                "credentials = \"environment\", but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
  }
  return fixed_credentials(std::move(credentials));
}

Outcome<std::unique_ptr<CredentialSource>> metadata_credentials(const std::string& endpoint) {
  common::HttpClientOptions options;
  options.connect_timeout_ms = 2000;
  options.idle_timeout_ms = 5000;
  options.max_idle_connections = 0;
  Outcome<std::unique_ptr<common::HttpClient>> http = common::HttpClient::create(std::move(options));
  if (!http) return fail(std::move(http.error()));

  std::string url = endpoint;
  std::string authorization;
  const std::string relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const bool container = !relative.empty() || !full.empty();
  if (container) {
    if (relative.empty()) {
      url = full;
    } else {
      url = (endpoint.empty() ? kContainerService : endpoint) + relative;
    }
    authorization = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  } else if (url.empty()) {
    url = kInstanceService;
  }
  const Outcome<common::UrlParts> parts = common::parse_url(url);
  if (!parts) return fail(parts.error());
  if (container && !allowed_container_service(*parts)) {
    return fail(OTAGATE_INVALID,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https or lead to this machine, not " +
                    common::redacted_url(url));
  }
  while (url.ends_with('/')) url.pop_back();
  return std::make_unique<Metadata>(std::move(*http), std::move(url), std::move(authorization), container);
}

}  // namespace otagate::s3
