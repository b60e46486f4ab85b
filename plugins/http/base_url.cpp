#include "http/base_url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace otagate::http {
namespace {

constexpr std::size_t kMaxHost = 255;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool valid_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && rest == end && port != 0 && text.size() <= 5;
}

bool valid_ipv6(std::string_view text) {
  in6_addr address{};
  return text.size() < INET6_ADDRSTRLEN && inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool valid_name(std::string_view text) {
  return !text.empty() && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_'; });
}

std::string authority_of(const sockaddr_storage& local) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (local.ss_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &local, sizeof in6);
    inet_ntop(AF_INET6, &in6.sin6_addr, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(in6.sin6_port));
  }
  sockaddr_in in{};
  std::memcpy(&in, &local, sizeof in);
  inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
  return std::string(text.data()) + ":" + std::to_string(ntohs(in.sin_port));
}

}  // namespace

bool valid_host(std::string_view host) {
  if (host.empty() || host.size() > kMaxHost) return false;
  std::size_t end = 0;
  if (host.front() == '[') {
    const std::size_t close = host.find(']');
    if (close == std::string_view::npos || !valid_ipv6(host.substr(1, close - 1))) return false;
    end = close + 1;
  } else {
    end = std::min(host.find(':'), host.size());
    if (!valid_name(host.substr(0, end))) return false;
  }
  return end == host.size() || (host[end] == ':' && valid_port(host.substr(end + 1)));
}

std::string base_url(std::string_view public_url, std::string_view host, const sockaddr_storage& local,
                     bool tls) {
  if (!public_url.empty()) return std::string(public_url);
  std::string url = tls ? "https://" : "http://";
  url += valid_host(host) ? std::string(host) : authority_of(local);
  return url;
}

}  // namespace otagate::http
