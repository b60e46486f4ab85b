// How a registry asks for credentials (RFC 9110, 11.6.1; the distribution token specification), and where
// they may go. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::oci {

inline constexpr std::size_t kMaxChallenges = 8;
inline constexpr std::size_t kMaxChallengeParams = 16;
inline constexpr std::size_t kMaxToken = 16 * 1024;

struct Challenge {
  std::string scheme;  // in lower case
  std::vector<std::pair<std::string, std::string>> params;

  // By name in lower case; "" when it is not there.
  std::string_view find(std::string_view name) const;
};

// Those of one header; what does not follow the grammar ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);
// Those of all WWW-Authenticate headers, kMaxChallenges at most.
std::vector<Challenge> challenges_of(const common::HttpHead& head);

// What is known about a registry when its realm is judged.
struct RealmRules {
  std::string registry;              // its URL
  std::vector<std::string> allowed;  // origins that tokens may come from besides the registry's own
};

// Whether a token may be asked for at `realm`. The realm is the server's own word: with credentials only
// the registry's own origin and those of `allowed` will do (an attacker who answers for the registry, or
// a pull-through cache, would otherwise name his own and be sent the password). Without credentials another
// host is asked, but never over weaker transport than the registry's, nor this machine by a remote registry.
common::Outcome<void> judge_realm(std::string_view realm, const RealmRules& rules, bool credentials);

// realm?service=...&scope=..., with what the realm's own query says before it.
std::string token_url(std::string_view realm, std::string_view service, std::string_view scope);

struct TokenAnswer {
  std::string token;
  std::uint64_t expires_in = 60;  // seconds; the specification's value where it is not said
};

// `token` or `access_token` of the JSON that a token server answers with. Neither the token nor the body is
// part of the error.
common::Outcome<TokenAnswer> parse_token_answer(std::string_view body);

}  // namespace otagate::oci
