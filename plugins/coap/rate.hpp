// Requests per second and source address, in a table of fixed size.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "peer.hpp"

namespace otagate::coap {

// A token bucket per address (ports do not count: they cost a peer nothing). A source may burst to
// two seconds' worth. When more sources are active than the table holds, the one of a set that was
// quiet for longest is forgotten: strangers can gain by that, but take nothing from anybody.
class SourceRate {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kSets = 1024;
  static constexpr std::size_t kWays = 4;

  // 0: no limit, and no memory.
  SourceRate(std::uint32_t requests_per_second, std::uint64_t seed);

  bool allow(const Peer& peer, Clock::time_point now);

 private:
  struct Slot {
    std::uint64_t source = 0;  // hash of the address; 0: free
    double tokens = 0;
    Clock::time_point seen;
  };

  double rate_;
  std::uint64_t seed_;
  std::vector<std::array<Slot, kWays>> sets_;
};

}  // namespace otagate::coap
