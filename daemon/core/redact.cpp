#include "core/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace otagate {

bool secret_name(std::string_view key) {
  static constexpr std::array<std::string_view, 9> kHints = {"secret",     "password", "passwd",
                                                             "passphrase", "token",    "private_key",
                                                             "psk",        "sas",      "connection_string"};
  std::string lower(key);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  // "token_file" names a place, not a secret.
  for (const std::string_view place : {"_file", "_path", "_url", "_type", "_ttl"})
    if (lower.ends_with(place)) return false;
  return std::any_of(kHints.begin(), kHints.end(), [&](std::string_view hint) {
    // Short hints must be a whole word: "sas" is in "sassafras".
    if (hint.size() > 3) return lower.find(hint) != std::string::npos;
    return lower == hint || lower.starts_with(std::string(hint) + '_') ||
           lower.ends_with('_' + std::string(hint));
  });
}

std::string redacted_text(std::string_view key, std::string_view text) {
  if (secret_name(key)) return std::string(text.empty() ? std::string_view{} : kRedacted);
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return std::string(text);
  std::string out(text);
  const std::size_t host = scheme + 3;
  const std::size_t end = std::min(out.find_first_of("/?#", host), out.size());
  const std::size_t at = out.rfind('@', end);
  if (at != std::string::npos && at >= host && at < end) {
    const std::size_t colon = out.find(':', host);
    if (colon < at)
      out.replace(colon + 1, at - colon - 1, kRedacted);
    else
      out.replace(host, at - host, kRedacted);
  }
  // The query of a presigned or SAS URL is the credential.
  const std::size_t query = out.find('?', host);
  if (query != std::string::npos && query + 1 < out.size())
    out.replace(query + 1, std::string::npos, kRedacted);
  return out;
}

}  // namespace otagate
