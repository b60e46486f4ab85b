#include "common/network/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace otagate::plugins {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool parse_number(std::string_view text, unsigned max, unsigned& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out <= max && !text.empty();
}

// Fills in the mapped form; `v4` says which family the text was.
bool parse_address(std::string_view text, std::array<std::uint8_t, 16>& out, bool& v4) {
  const std::string terminated(text);
  if (inet_pton(AF_INET6, terminated.c_str(), out.data()) == 1) {
    v4 = false;
    return true;
  }
  std::memcpy(out.data(), kMapped.data(), kMapped.size());
  v4 = true;
  return inet_pton(AF_INET, terminated.c_str(), out.data() + kMapped.size()) == 1;
}

}  // namespace

std::optional<Peer> peer_of(const sockaddr& address) {
  Peer peer;
  if (address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof(in));
    std::memcpy(peer.address.data(), kMapped.data(), kMapped.size());
    std::memcpy(peer.address.data() + kMapped.size(), &in.sin_addr, 4);
    peer.port = ntohs(in.sin_port);
    return peer;
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof(in));
    std::memcpy(peer.address.data(), &in.sin6_addr, 16);
    peer.port = ntohs(in.sin6_port);
    return peer;
  }
  return std::nullopt;
}

std::string to_string(const Peer& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool v4 = std::memcmp(peer.address.data(), kMapped.data(), kMapped.size()) == 0;
  const auto* bytes = peer.address.data() + (v4 ? kMapped.size() : 0);
  if (inet_ntop(v4 ? AF_INET : AF_INET6, bytes, text.data(), text.size()) == nullptr) return "?";
  const std::string host = v4 ? std::string(text.data()) : "[" + std::string(text.data()) + "]";
  return host + ":" + std::to_string(peer.port);
}

std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  for (std::size_t i = 0; i < size; ++i) {
    hash ^= bytes[i];
    hash *= 0x100000001b3ULL;
  }
  // FNV's low bits depend on few input bits; tables use the low bits.
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15ULL;
  return hash ^ (hash >> 29);
}

std::optional<ListenAddress> parse_listen(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  unsigned port = 0;
  if (!parse_number(text.substr(colon + 1), 65535, port)) return std::nullopt;
  auto host = text.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  std::array<std::uint8_t, 16> address{};
  bool v4 = false;
  if (!parse_address(host, address, v4) || v4 == brackets) return std::nullopt;

  ListenAddress listen;
  listen.text = std::string(text);
  if (v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in.sin_addr, address.data() + kMapped.size(), 4);
    listen.length = sizeof(in);
    std::memcpy(&listen.storage, &in, sizeof(in));
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in.sin6_addr, address.data(), 16);
    listen.length = sizeof(in);
    std::memcpy(&listen.storage, &in, sizeof(in));
  }
  return listen;
}

bool NetworkSet::add(std::string_view text) {
  Network network;
  const auto slash = text.find('/');
  bool v4 = false;
  if (!parse_address(text.substr(0, slash), network.prefix, v4)) return false;
  unsigned bits = v4 ? 32 : 128;
  if (slash != std::string_view::npos && !parse_number(text.substr(slash + 1), bits, bits)) return false;
  network.bits = bits + (v4 ? 96 : 0);
  networks_.push_back(network);
  return true;
}

bool NetworkSet::contains(const Peer& peer) const {
  for (const auto& network : networks_) {
    const auto whole = network.bits / 8;
    const auto rest = network.bits % 8;
    if (std::memcmp(peer.address.data(), network.prefix.data(), whole) != 0) continue;
    if (rest == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
    if ((peer.address[whole] & mask) == (network.prefix[whole] & mask)) return true;
  }
  return false;
}

NetworkSet NetworkSet::local() {
  NetworkSet set;
  for (const auto* text : {"127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10", "10.0.0.0/8", "172.16.0.0/12",
                           "192.168.0.0/16", "fc00::/7"}) {
    set.add(text);
  }
  return set;
}

}  // namespace otagate::plugins
