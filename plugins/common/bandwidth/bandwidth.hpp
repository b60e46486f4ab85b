// What a transport may send of firmware in a second, shared by all its connections.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace otagate::plugins {

// A token bucket that holds what one second brings. Any thread. Times are monotonic milliseconds.
class Bandwidth {
 public:
  // Bytes a second; 0: no limit.
  explicit Bandwidth(std::uint64_t rate) : rate_(static_cast<std::int64_t>(rate)), tokens_(rate_ * kUnit) {}

  bool limited() const { return rate_ != 0; }

  // How many of `wanted` bytes may go now, 0: none yet. Nobody gets more than an eighth of the bucket at
  // once, or the first would leave nothing for the others.
  std::uint64_t take(std::uint64_t wanted, std::uint64_t now_ms) {
    if (!limited()) return wanted;
    const std::scoped_lock lock(mutex_);
    fill(now_ms);
    const std::int64_t share = std::max<std::int64_t>(rate_ / 8, 1);
    const std::int64_t most = std::min(tokens_ / kUnit, share);
    if (most <= 0) return 0;
    const auto taken = std::min(wanted, static_cast<std::uint64_t>(most));
    tokens_ -= static_cast<std::int64_t>(taken) * kUnit;
    return taken;
  }
  // What was taken and could not be sent.
  void give_back(std::uint64_t bytes) {
    if (!limited()) return;
    const std::scoped_lock lock(mutex_);
    tokens_ = std::min(tokens_ + static_cast<std::int64_t>(bytes) * kUnit, rate_ * kUnit);
  }

  // For what cannot be sent in pieces: books the bytes, and says in how many milliseconds their turn is.
  // Where that is more than `most_ms` nothing is booked.
  std::uint64_t reserve(std::uint64_t bytes, std::uint64_t now_ms, std::uint64_t most_ms) {
    if (!limited()) return 0;
    const std::scoped_lock lock(mutex_);
    fill(now_ms);
    const std::int64_t missing = static_cast<std::int64_t>(bytes) * kUnit - tokens_;
    const auto wait = missing <= 0 ? 0 : static_cast<std::uint64_t>((missing + rate_ - 1) / rate_);
    if (wait <= most_ms) tokens_ -= static_cast<std::int64_t>(bytes) * kUnit;
    return wait;
  }

 private:
  void fill(std::uint64_t now_ms) {
    if (filled_ms_ == 0) filled_ms_ = now_ms;
    if (now_ms <= filled_ms_) return;
    const std::uint64_t since = std::min<std::uint64_t>(now_ms - filled_ms_, 3'600'000);
    tokens_ = std::min(tokens_ + rate_ * static_cast<std::int64_t>(since), rate_ * kUnit);
    filled_ms_ = now_ms;
  }

  // Counted in thousandths of a byte: what a millisecond brings is exact.
  static constexpr std::int64_t kUnit = 1000;

  const std::int64_t rate_;
  std::mutex mutex_;
  std::int64_t tokens_;  // below 0: booked ahead
  std::uint64_t filled_ms_ = 0;
};

}  // namespace otagate::plugins
