// Request bodies that come in several datagrams (Block1, RFC 7959 section 2.5): put together in order, within
// bounds. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <string>

#include "block.hpp"
#include "peer.hpp"

namespace otagate::coap {

// On the listener's thread. A peer has one body under way at a time: another one of his takes its place.
class Bodies {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxBody = 65536;
  static constexpr std::size_t kMaxOpen = 32;
  static constexpr std::chrono::seconds kIdle{30};

  enum class Outcome : std::uint8_t {
    kMore,        // 2.31: taken, the next block please
    kComplete,    // `whole` has it all
    kIncomplete,  // 4.08: not the block that comes next; start again
    kTooLarge,    // 4.13
    kBusy,        // 5.03: too many bodies under way
    kMalformed,   // 4.00: a block in the middle that is not as long as it says
  };

  // `what`: a hash of method, path and query. `whole` is set with kComplete only.
  Outcome add(const Peer& peer, std::uint64_t what, const Block& block, std::span<const std::uint8_t> payload,
              Clock::time_point now, std::string& whole);

  void expire(Clock::time_point now);
  bool empty() const { return open_.empty(); }

 private:
  struct Open {
    Peer peer;
    std::uint64_t what = 0;
    std::string bytes;
    Clock::time_point used;
  };

  std::list<Open> open_;  // most recently used first
};

}  // namespace otagate::coap
