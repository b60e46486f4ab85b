// Who a datagram came from: address and port as plain bytes, and the networks a listener trusts.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::plugins {

// An IPv4 address is kept as its IPv4-mapped IPv6 one, so that a peer is the same peer on either
// kind of listener.
struct Peer {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  friend bool operator==(const Peer&, const Peer&) = default;
};

// Nothing for other address families.
std::optional<Peer> peer_of(const sockaddr& address);

// "192.0.2.7:5683", "[2001:db8::7]:5683".
std::string to_string(const Peer& peer);

// FNV-1a over a key of the process's own: peers cannot choose collisions they know of.
std::uint64_t hash_bytes(const void* data, std::size_t size, std::uint64_t seed);

struct PeerHash {
  std::uint64_t seed = 0;
  std::size_t operator()(const Peer& peer) const {
    return hash_bytes(peer.address.data(), peer.address.size(), seed ^ peer.port);
  }
};

// Numeric "host:port" or "[v6]:port"; port 0 lets the system choose.
struct ListenAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  std::string text;
};
std::optional<ListenAddress> parse_listen(std::string_view text);

class NetworkSet {
 public:
  // "10.0.0.0/8", "fd00::/8", or a single address. False when it is none of these.
  bool add(std::string_view text);
  bool contains(const Peer& peer) const;

  // Loopback, link-local, RFC 1918 and unique local addresses.
  static NetworkSet local();

 private:
  struct Network {
    std::array<std::uint8_t, 16> prefix{};
    unsigned bits = 0;
  };
  std::vector<Network> networks_;
};

}  // namespace otagate::plugins
