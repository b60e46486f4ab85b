#include "gateway/circuit.hpp"

#include <algorithm>

namespace otagate::gateway {

std::int64_t Circuit::admit(std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  if (until_ms_ == 0) return 0;
  if (now_ms < until_ms_) return until_ms_ - now_ms;
  // The probe: should it never report, the next one may go after another back-off.
  until_ms_ = now_ms + backoff_ms_;
  return 0;
}

std::int64_t Circuit::closed_for(std::int64_t now_ms) const {
  const std::scoped_lock lock(mutex_);
  return until_ms_ == 0 ? 0 : std::max<std::int64_t>(until_ms_ - now_ms, 1);
}

bool Circuit::succeeded() {
  const std::scoped_lock lock(mutex_);
  const bool was_open = until_ms_ != 0;
  failures_ = 0;
  until_ms_ = 0;
  backoff_ms_ = 0;
  return was_open;
}

bool Circuit::failed(std::int64_t now_ms, std::uint64_t retry_after_ms) {
  const std::scoped_lock lock(mutex_);
  ++failures_;
  const bool was_open = until_ms_ != 0;
  if (!was_open && failures_ < kThreshold) return false;
  backoff_ms_ = backoff_ms_ == 0 ? kFirstMs : std::min(backoff_ms_ * 2, kMostMs);
  const auto asked = static_cast<std::int64_t>(std::min<std::uint64_t>(retry_after_ms, 3'600'000));
  until_ms_ = now_ms + std::max(backoff_ms_, asked);
  return !was_open;
}

}  // namespace otagate::gateway
