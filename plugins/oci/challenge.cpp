#include "oci/challenge.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "common/http_client/url.hpp"
#include "common/object_store/text.hpp"
#include "oci/json.hpp"

namespace otagate::oci {
namespace {

bool token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~/").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool done() const { return text_.empty(); }
  void skip(std::string_view what) {
    text_.remove_prefix(std::min(text_.find_first_not_of(what), text_.size()));
  }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    const auto end = std::find_if_not(text_.begin(), text_.end(), token_char);
    const std::string_view out = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(out.size());
    return out;
  }
  // After its opening quote; nullopt when it does not end.
  std::optional<std::string> quoted() {
    std::string out;
    while (!text_.empty()) {
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (text_.empty()) break;
        c = text_.front();
        text_.remove_prefix(1);
      }
      out += c;
    }
    return std::nullopt;
  }

 private:
  std::string_view text_;
};

bool plain_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string_view Challenge::find(std::string_view name) const {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return {};
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> out;
  Reader in(header);
  for (in.skip(" \t,"); !in.done(); in.skip(" \t,")) {
    const std::string name = common::lower_case(in.token());
    if (name.empty()) break;
    in.skip(" \t");
    if (!in.take('=')) {
      if (out.size() == kMaxChallenges) break;
      out.push_back({name, {}});
      continue;
    }
    in.skip(" \t=");  // more '=' pad the token68 of a scheme that nobody here speaks
    std::optional<std::string> value = in.take('"') ? in.quoted() : std::string(in.token());
    if (!value || out.empty() || out.back().params.size() == kMaxChallengeParams) break;
    out.back().params.emplace_back(name, std::move(*value));
  }
  return out;
}

std::vector<Challenge> challenges_of(const common::HttpHead& head) {
  std::vector<Challenge> out;
  for (const auto& [name, value] : head.headers) {
    if (name != "www-authenticate") continue;
    for (Challenge& one : parse_challenges(value)) {
      if (out.size() < kMaxChallenges) out.push_back(std::move(one));
    }
  }
  return out;
}

common::Outcome<void> judge_realm(std::string_view realm, const RealmRules& rules, bool credentials) {
  const auto refuse = [&](const std::string& why) {
    return common::fail(OTAGATE_DENIED,
                        "the registry sends to " + common::redacted_url(realm) + " for a token, " + why);
  };
  const auto ours = common::parse_url(rules.registry);
  const auto theirs = common::parse_url(realm);
  if (!ours) return common::fail(ours.error());
  if (!theirs || theirs->has_user) return refuse("which is no http(s) URL without a user in it");
  const std::string origin = theirs->origin();
  if (origin == ours->origin()) return {};
  const bool listed = std::any_of(rules.allowed.begin(), rules.allowed.end(), [&](const std::string& one) {
    const auto allowed = common::parse_url(one);
    return allowed && allowed->origin() == origin;
  });
  if (listed) return {};
  if (credentials) {
    return refuse(
        "which is another server than the registry: credentials are not sent there. If its tokens do "
        "come from there, add '" +
        theirs->scheme + "://" + common::printable(theirs->authority(), 200) + "' to 'token_realms'");
  }
  if (ours->scheme == "https" && theirs->scheme != "https") return refuse("without TLS: refused");
  if (theirs->loopback() && !ours->loopback()) return refuse("on this machine: refused");
  return {};
}

std::string token_url(std::string_view realm, std::string_view service, std::string_view scope) {
  std::string out(realm.substr(0, realm.find('#')));
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out += out.find('?') == std::string::npos ? '?' : '&';
    out.append(name).append("=").append(common::percent_encode(value));
  };
  add("service", service);
  add("scope", scope);
  return out;
}

common::Outcome<TokenAnswer> parse_token_answer(std::string_view body) {
  const auto document = parse_object(body);
  if (!document) return common::fail(OTAGATE_TRANSIENT, "the token server's answer is no JSON object");
  TokenAnswer out;
  out.token = text_member(*document, "token", kMaxToken);
  if (out.token.empty()) out.token = text_member(*document, "access_token", kMaxToken);
  if (out.token.empty() || !plain_token(out.token)) {
    return common::fail(OTAGATE_TRANSIENT, "the token server's answer holds no usable token");
  }
  if (const auto seconds = size_member(*document, "expires_in")) out.expires_in = *seconds;
  return out;
}

}  // namespace otagate::oci
