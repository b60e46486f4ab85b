#include "rate.hpp"

#include <algorithm>

namespace otagate::coap {

SourceRate::SourceRate(std::uint32_t requests_per_second, std::uint64_t seed)
    : rate_(requests_per_second), seed_(seed), sets_(requests_per_second == 0 ? 0 : kSets) {}

bool SourceRate::allow(const Peer& peer, Clock::time_point now) {
  if (sets_.empty()) return true;
  const auto source = hash_bytes(peer.address.data(), peer.address.size(), seed_) | 1U;
  auto& set = sets_[(source >> 1) % kSets];
  auto* slot = std::find_if(set.begin(), set.end(), [&](const Slot& s) { return s.source == source; });
  const double full = 2 * rate_;
  if (slot == set.end()) {
    slot = std::min_element(set.begin(), set.end(), [](const Slot& a, const Slot& b) {
      return a.source == 0 ? b.source != 0 : b.source != 0 && a.seen < b.seen;
    });
    *slot = Slot{.source = source, .tokens = full, .seen = now};
  }
  const std::chrono::duration<double> passed = now - slot->seen;
  slot->tokens = std::min(full, slot->tokens + passed.count() * rate_);
  slot->seen = now;
  if (slot->tokens < 1) return false;
  slot->tokens -= 1;
  return true;
}

}  // namespace otagate::coap
