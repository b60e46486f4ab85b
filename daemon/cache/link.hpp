// What the cache knows of the way to one store: how fast, how far, whether it answers, and its bandwidth cap.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "cache/types.hpp"
#include "core/error.hpp"

namespace otagate::cache {

// Token bucket that blocks. Thread-safe.
class RateLimiter {
 public:
  // 0: no limit. Takes effect on waiting takers too.
  void set_rate(std::uint64_t bytes_per_second);
  // Waits until `bytes` may pass. Returns early once `stop()` is true; poke() makes waiters look.
  void take(std::uint64_t bytes, const std::function<bool()>& stop);
  void poke();

 private:
  using Clock = std::chrono::steady_clock;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t rate_ = 0;
  std::uint64_t version_ = 0;  // grows with each change of the rate
  Clock::time_point free_at_{};
};

// The cache's thread only, but for limiter().
class Link {
 public:
  using Clock = std::chrono::steady_clock;

  RateLimiter& limiter() { return limiter_; }

  // Bytes that came within a stretch of time in which something was being fetched.
  void measured(std::uint64_t bytes, Clock::duration time);
  // Time from asking to the first byte.
  void answered_after(Clock::duration time);
  std::uint64_t rate() const { return rate_; }  // bytes a second, 0: not known
  Clock::duration round_trip() const { return round_trip_; }
  // Bytes of the next request: a quarter second's worth, 256 KiB to 8 MiB.
  std::uint64_t segment() const;

  // Circuit breaker: after five failures in a row, whatever the fills, one fetch at a time may try until
  // something succeeds.
  void succeeded();
  void failed(const RetryPolicy& retry);
  void abandoned() { probing_ = false; }  // ended without telling anything about the store
  void reset();
  Clock::time_point blocked_until() const { return blocked_until_; }
  // True if a fetch may start now; with the breaker open the asker becomes the probe.
  bool admit(Clock::time_point now);

 private:
  static constexpr std::uint32_t kBreakAfter = 5;

  RateLimiter limiter_;
  std::uint64_t rate_ = 0;
  Clock::duration round_trip_ = std::chrono::milliseconds(50);
  bool round_trip_known_ = false;
  std::uint32_t failures_ = 0;
  bool probing_ = false;
  Clock::time_point blocked_until_{};
};

// Doubles from retry.first with each further attempt (1 is the first), at most retry.most, +-25 %.
std::chrono::milliseconds back_off(const RetryPolicy& retry, std::uint32_t attempt);

}  // namespace otagate::cache
