#include "oci/authenticator.hpp"

#include <algorithm>

#include "common/authorization/authorization.hpp"
#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"

namespace otagate::oci {
namespace {

constexpr std::uint64_t kTokenTimeoutMs = 20'000;
constexpr std::size_t kMaxKept = 1024;
constexpr std::uint64_t kShortestLife = 5;     // seconds; less is taken for this much
constexpr std::uint64_t kLongestLife = 86400;  // seconds

std::string scope_of(const std::string& repository, Access access) {
  return "repository:" + repository + (access == Access::push ? ":pull,push" : ":pull");
}

const Challenge* find(const std::vector<Challenge>& all, std::string_view scheme) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Challenge& one) { return one.scheme == scheme; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

Authenticator::Authenticator(common::HttpClient& http, Credentials who, RealmRules rules)
    : http_(http), who_(std::move(who)), rules_(std::move(rules)) {}

std::string Authenticator::basic() const {
  return "Basic " + plugins::base64_encode(who_.user + ":" + who_.password);
}

std::string Authenticator::known(const std::string& repository, Access access) {
  const std::scoped_lock lock(mutex_);
  if (use_basic_) return basic();
  const auto found = kept_.find(scope_of(repository, access));
  return found != kept_.end() && Clock::now() < found->second.until ? found->second.header : std::string();
}

common::Outcome<std::string> Authenticator::answer(const common::HttpHead& head,
                                                   const std::string& repository, Access access,
                                                   const std::string& sent,
                                                   const std::function<bool()>& cancelled) {
  const std::vector<Challenge> challenges = challenges_of(head);
  if (const Challenge* bearer = find(challenges, "bearer")) {
    while (!asking_.try_lock_for(std::chrono::milliseconds(100))) {
      if (cancelled()) return common::fail(OTAGATE_CANCELLED, "cancelled while waiting for a token");
    }
    const std::unique_lock<std::timed_mutex> lock(asking_, std::adopt_lock);
    if (std::string now = known(repository, access); !now.empty() && now != sent) return now;
    return fetch_token(*bearer, scope_of(repository, access), cancelled);
  }
  if (!find(challenges, "basic") || who_.user.empty()) return std::string();
  std::string header = basic();
  if (sent == header) return std::string();
  const std::scoped_lock lock(mutex_);
  use_basic_ = true;
  return header;
}

common::Outcome<std::string> Authenticator::fetch_token(const Challenge& challenge, const std::string& scope,
                                                        const std::function<bool()>& cancelled) {
  const std::string_view realm = challenge.find("realm");
  if (auto fit = judge_realm(realm, rules_, !anonymous()); !fit) return common::fail(std::move(fit.error()));
  common::HttpRequest request;
  request.timeout_ms = kTokenTimeoutMs;
  request.max_body = 256 * 1024;
  request.cancelled = cancelled;
  std::string form;
  if (!who_.identity_token.empty()) {
    request.method = "POST";
    request.url = realm.substr(0, realm.find('#'));
    form = "grant_type=refresh_token&client_id=otagate&service=" +
           common::percent_encode(challenge.find("service")) + "&scope=" + common::percent_encode(scope) +
           "&refresh_token=" + common::percent_encode(who_.identity_token);
    request.body = common::HttpBody{form, -1, form.size()};
    request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  } else {
    request.url = token_url(realm, challenge.find("service"), scope);
    if (!anonymous()) request.headers.push_back({"Authorization", basic()});
  }
  common::Outcome<common::HttpResponse> response = http_.perform(request);
  if (!response) return common::fail(std::move(response.error()).with_context("asking for a token"));
  if (response->head.status != 200) {
    common::Failure failure = common::status_failure(response->head, request.method, request.url);
    if (failure.status == OTAGATE_DENIED || failure.status == OTAGATE_PERMANENT) {
      failure.status = OTAGATE_DENIED;
      failure.message += anonymous() ? "; the token server gives none without 'username' and 'password'"
                                     : "; check 'username' and 'password' (or 'docker_config')";
    }
    // A token server that is not there is no object that is not there.
    if (failure.status == OTAGATE_NOT_FOUND) failure.status = OTAGATE_PERMANENT;
    return common::fail(std::move(failure).with_context("asking for a token"));
  }
  common::Outcome<TokenAnswer> token = parse_token_answer(response->body);
  if (!token) return common::fail(std::move(token.error()).with_context(common::redacted_url(request.url)));
  const std::uint64_t life = std::clamp(token->expires_in, kShortestLife, kLongestLife);
  Kept kept{"Bearer " + token->token, Clock::now() + std::chrono::seconds(life - life / 5)};
  const std::scoped_lock lock(mutex_);
  if (kept_.size() >= kMaxKept) kept_.clear();
  kept_[scope] = kept;
  return std::move(kept.header);
}

}  // namespace otagate::oci
