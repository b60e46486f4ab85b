// The Echo option of RFC 9175 without state: a token says that its bearer received what was sent to
// an address within the last one to two minutes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "peer.hpp"

namespace otagate::coap {

class EchoTokens {
 public:
  static constexpr std::size_t kLength = 8;
  static constexpr std::chrono::seconds kWindow{60};
  using Token = std::array<std::uint8_t, kLength>;
  using Clock = std::chrono::steady_clock;

  // A key per start: tokens of an earlier run are refused, which costs a peer one round trip.
  EchoTokens();

  Token make(const Peer& peer, Clock::time_point now) const;
  bool valid(std::span<const std::uint8_t> token, const Peer& peer, Clock::time_point now) const;

 private:
  Token of_window(const Peer& peer, std::int64_t window) const;

  std::array<std::uint8_t, 32> key_;
};

}  // namespace otagate::coap
