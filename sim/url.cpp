#include <algorithm>

#include "link.hpp"

namespace otagate::sim {

std::optional<Url> parse_url(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  Url parsed;
  parsed.scheme = url.substr(0, colon);
  if (parsed.scheme != "http" && parsed.scheme != "coap") return std::nullopt;
  url.remove_prefix(colon + 3);
  const auto slash = std::min(url.find_first_of("/?"), url.size());
  auto authority = url.substr(0, slash);
  parsed.target = url.substr(slash);
  if (parsed.target.empty() || parsed.target.front() != '/') parsed.target.insert(0, 1, '/');
  parsed.address.port = parsed.scheme == "http" ? "80" : "5683";
  const auto bracket = authority.find(']');
  const auto port = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (port != std::string_view::npos) {
    parsed.address.port = authority.substr(port + 1);
    authority = authority.substr(0, port);
  }
  if (bracket != std::string_view::npos && authority.starts_with('[')) {
    authority.remove_prefix(1);
    authority.remove_suffix(1);
  }
  parsed.address.host = authority;
  const auto& digits = parsed.address.port;
  const bool number = !digits.empty() && digits.size() <= 5 &&
                      std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (parsed.address.host.empty() || !number) return std::nullopt;
  return parsed;
}

}  // namespace otagate::sim
