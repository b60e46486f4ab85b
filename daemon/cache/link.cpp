#include "cache/link.hpp"

#include <algorithm>
#include <random>

namespace otagate::cache {

namespace {
using Seconds = std::chrono::duration<double>;
// What may pass at once after a pause.
constexpr std::chrono::milliseconds kBurst{20};
constexpr std::uint64_t kMaxSegment = 8ull << 20;
}  // namespace

void RateLimiter::set_rate(std::uint64_t bytes_per_second) {
  {
    const std::scoped_lock lock(mutex_);
    rate_ = bytes_per_second;
    ++version_;
    free_at_ = Clock::now();
  }
  changed_.notify_all();
}

void RateLimiter::take(std::uint64_t bytes, const std::function<bool()>& stop) {
  std::unique_lock lock(mutex_);
  while (rate_ != 0 && !stop()) {
    const Clock::time_point now = Clock::now();
    free_at_ = std::max(free_at_, now - kBurst);
    if (free_at_ <= now) {
      free_at_ += std::chrono::duration_cast<Clock::duration>(
          Seconds(static_cast<double>(bytes) / static_cast<double>(rate_)));
      return;
    }
    const std::uint64_t version = version_;
    const Clock::time_point until = free_at_;
    changed_.wait_until(lock, until, [&] { return stop() || version_ != version; });
  }
}

void RateLimiter::poke() {
  { const std::scoped_lock lock(mutex_); }  // a taker is either before its look at stop() or waits
  changed_.notify_all();
}

void Link::measured(std::uint64_t bytes, Clock::duration time) {
  const double seconds = std::chrono::duration_cast<Seconds>(time).count();
  if (seconds <= 0) return;
  const double sample = static_cast<double>(bytes) / seconds;
  rate_ = static_cast<std::uint64_t>(rate_ == 0 ? sample : 0.6 * static_cast<double>(rate_) + 0.4 * sample);
}

void Link::answered_after(Clock::duration time) {
  // Follows down at once and up slowly: a queue at the store is not distance.
  if (!round_trip_known_ || time < round_trip_)
    round_trip_ = time;
  else
    round_trip_ += (std::min<Clock::duration>(time, std::chrono::seconds(2)) - round_trip_) / 8;
  round_trip_known_ = true;
}

std::uint64_t Link::segment() const { return std::clamp(rate_ / 4, kSegmentSize, kMaxSegment); }

void Link::succeeded() {
  failures_ = 0;
  probing_ = false;
  blocked_until_ = {};
}

void Link::failed(const RetryPolicy& retry) {
  probing_ = false;
  if (++failures_ < kBreakAfter) return;
  blocked_until_ = Clock::now() + back_off(retry, failures_ - kBreakAfter + 1);
}

void Link::reset() { succeeded(); }

bool Link::admit(Clock::time_point now) {
  if (failures_ < kBreakAfter) return true;
  if (now < blocked_until_ || probing_) return false;
  probing_ = true;
  return true;
}

std::chrono::milliseconds back_off(const RetryPolicy& retry, std::uint32_t attempt) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto doubled = retry.first * (std::int64_t{1} << std::min<std::uint32_t>(attempt - 1, 20));
  const auto base = std::min<std::chrono::milliseconds>(doubled, retry.most);
  return base * std::uniform_int_distribution<int>(75, 125)(random) / 100;
}

}  // namespace otagate::cache
