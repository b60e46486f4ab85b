// Fill, the part that decides what to fetch next, and what to do when a fetch fails.
#include <algorithm>
#include <utility>

#include "cache/core.hpp"
#include "cache/fill.hpp"
#include "core/log.hpp"

namespace otagate::cache {

namespace {

constexpr std::size_t kConnections = 2;
// A rest smaller than this is fetched along rather than asked for by itself.
constexpr std::uint64_t kSmallRest = kSegmentSize / 2;
// How much too early the next request goes out, for threads to wake up.
constexpr std::chrono::milliseconds kMargin{5};

bool retryable(Code code) {
  switch (code) {
    case Code::transient:
    case Code::throttled:
    case Code::clock:
    case Code::deadline:
    case Code::busy:
    case Code::internal:
    case Code::cancelled: return true;
    default: return false;
  }
}

}  // namespace

void Fill::schedule() {
  if (state_ != State::fetching) return;
  if (file_->complete()) {
    if (!fetches_.empty()) return;
    state_ = State::verifying;
    return pump_hash();
  }
  if (caps_.ranges && file_->size() != kUnknownSize) return schedule_ranges();
  if (!may_start(1)) return;
  file_->rewind_stream();
  start_fetch(0, file_->size(), true);
}

// Two connections: one for what comes next, one for whoever waits elsewhere. The next request in order goes
// out one round trip before the current one ends, so that the uplink never idles.
void Fill::schedule_ranges() {
  const std::size_t most = std::clamp<std::size_t>(caps_.parallel, 1, kConnections);
  feed_->for_each_demand([&](std::uint64_t begin, std::uint64_t end, std::uint64_t far_end) {
    if (const Fetch* claim = claim_of(begin)) {
      // The sequential stream goes on from where this one ends; a fetch made for somebody does not.
      return claim->sequential || end <= claim->end ? Feed::Demand::covered : Feed::Demand::later;
    }
    if (!may_start(most)) return Feed::Demand::no_more;
    const std::uint64_t from = file_->fetch_begin(begin);
    const std::uint64_t length = std::clamp(far_end - from, kSegmentSize, link_->segment());
    const std::uint64_t to = segment_end(from, std::max(length, caps_.min_segment));
    start_fetch(from, to, false);
    return end <= to ? Feed::Demand::covered : Feed::Demand::later;
  });

  for (;;) {
    const Fetch* newest = nullptr;
    for (const auto& [number, fetch] : fetches_)
      if (fetch.sequential) newest = &fetch;
    if (newest != nullptr && !near_end(*newest)) return;
    std::uint64_t next = file_->first_missing(0);
    for (const Fetch* claim = claim_of(next); claim != nullptr; claim = claim_of(next))
      next = file_->first_missing(claim->end);
    if (next >= file_->size() || !may_start(most)) return;
    const std::uint64_t from = file_->fetch_begin(next);
    start_fetch(from, segment_end(from, std::max(link_->segment(), caps_.min_segment)), true);
  }
}

bool Fill::may_start(std::size_t most) {
  if (state_ != State::fetching || fetches_.size() >= most) return false;
  const Clock::time_point now = Clock::now();
  if (now < back_off_until_) {
    if (retry_timer_ == 0) retry_later(back_off_until_ - now);
    return false;
  }
  if (link_->admit(now)) return true;
  if (retry_timer_ == 0)
    retry_later(std::max<Clock::duration>(link_->blocked_until() - now, core_.retry().first));
  return false;
}

void Fill::retry_later(Clock::duration delay) {
  if (retry_timer_ != 0) core_.main().cancel(retry_timer_);
  const auto rounded_up = std::chrono::ceil<std::chrono::milliseconds>(delay);
  retry_timer_ = core_.main().after(rounded_up, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->retry_timer_ = 0;
    self->schedule();
  });
}

void Fill::retry_now() {
  if (retry_timer_ != 0) core_.main().cancel(std::exchange(retry_timer_, 0));
  back_off_until_ = {};
  schedule();
}

// The fetch in flight that will bring `position`.
const Fill::Fetch* Fill::claim_of(std::uint64_t position) const {
  for (const auto& [number, fetch] : fetches_)
    if (position >= fetch.begin && position < fetch.end) return &fetch;
  return nullptr;
}

bool Fill::near_end(const Fetch& fetch) const {
  const std::uint64_t left = fetch.end - std::min(fetch.end, fetch.begin + fetch.sink->received());
  if (left == 0) return true;
  if (link_->rate() == 0) return left <= kChunkSize;
  const std::chrono::duration<double> needed(static_cast<double>(left) / static_cast<double>(link_->rate()));
  return needed <= link_->round_trip() + kMargin;
}

// Where a request from `begin` on ends: short of what is there or on its way, at the end of a chunk.
std::uint64_t Fill::segment_end(std::uint64_t begin, std::uint64_t length) const {
  std::uint64_t gap_end = file_->first_present(begin);
  for (const auto& [number, fetch] : fetches_)
    if (fetch.begin >= begin) gap_end = std::min(gap_end, fetch.begin);
  const std::uint64_t end = (begin + length + kChunkSize - 1) / kChunkSize * kChunkSize;
  return end >= gap_end || gap_end - end < kSmallRest ? gap_end : end;
}

void Fill::start_fetch(std::uint64_t begin, std::uint64_t end, bool sequential) {
  const std::uint64_t number = ++last_fetch_;
  auto sink = std::make_shared<FetchSink>(file_, link_, begin, end, key_.change_token);
  last_attempt_ = Clock::now();
  fetches_[number] = {begin, end, sequential, sink, 0, last_attempt_, false};
  core_.counters().fetches++;
  const bool ranged = caps_.ranges && file_->size() != kUnknownSize;
  const FetchId id = source_->fetch(
      ranged ? begin : 0, ranged ? end - begin : 0, sink,
      [self = shared_from_this(), main = core_.main_ptr(), number](Result<void> result) {
        main->post([self, number, result = std::move(result)] { self->on_done(number, result); });
      });
  if (const auto found = fetches_.find(number); found != fetches_.end()) found->second.id = id;
}

void Fill::on_done(std::uint64_t number, const Result<void>& result) {
  const auto found = fetches_.find(number);
  if (found == fetches_.end()) return;
  measure();
  const Fetch fetch = std::move(found->second);
  fetches_.erase(found);
  if (fetches_.empty()) window_.reset();
  fetch.sink->stop();
  const std::uint64_t received = fetch.sink->received();
  fetched_ += received;
  core_.counters().fetched_bytes += received;
  if (state_ == State::ended) {
    link_->abandoned();
    return;
  }
  std::optional<Error> error = fetch.sink->error();
  if (!error && !result) error = result.error();
  if (!error && fetch.end == kUnknownSize) {
    // Without a size the source's word is all there is; with one, learned on the way, it is checked.
    if (auto finished = file_->finish_stream(); !finished) error = finished.error();
    if (!error && file_->size() != received)
      error = Error(Code::transient, "the store ended after " + std::to_string(received) + " of " +
                                         std::to_string(file_->size()) + " bytes");
  } else if (!error && fetch.begin + received < fetch.end) {
    error = Error(Code::transient, "the store ended after " + std::to_string(received) + " of " +
                                       std::to_string(fetch.end - fetch.begin) + " bytes");
  }
  if (error) {
    core_.counters().fetch_failures++;
    on_error(*error, received > 0);
  } else {
    attempts_ = 0;
    last_error_.reset();
    link_->succeeded();
  }
  if (state_ != State::ended) on_progress();
}

void Fill::on_error(const Error& error, bool answered) {
  last_error_ = error;
  log("cache").info("fill {} of {}/{}: {} ({})", id_, key_.store, key_.object, error.message(),
                    to_string(error.code()));
  if (error.code() == Code::no_space) {
    link_->abandoned();
    return on_full_disk(error);
  }
  if (!retryable(error.code())) {
    link_->abandoned();
    const bool useless = error.code() == Code::changed || error.code() == Code::invalid;
    return end(error, useless);
  }
  if (!answered) link_->failed(core_.retry());
  const std::uint64_t present = file_->present();
  const bool progressed = present > std::exchange(present_at_error_, present);
  attempts_ = progressed ? 1 : attempts_ + 1;
  if (attempts_ > core_.retry().attempts)
    return end(error.with_context("given up after " + std::to_string(core_.retry().attempts) + " attempts"),
               false);
  const auto delay = std::max(back_off(core_.retry(), attempts_),
                              std::chrono::milliseconds(static_cast<std::int64_t>(
                                  std::min<std::uint64_t>(error.retry_after_ms(), 24 * 3600 * 1000))));
  back_off_until_ = Clock::now() + delay;
  retry_later(delay);
}

// Evicting may help, once; else readers hear of it, and a later open tries again.
void Fill::on_full_disk(const Error& error) {
  if (std::exchange(made_room_, true)) return end(error, false);
  const std::uint64_t size = file_->size();
  const std::uint64_t missing = size == kUnknownSize ? kSegmentSize : size - std::min(size, file_->present());
  back_off_until_ = Clock::now() + core_.retry().first;
  core_.make_room(missing, [self = shared_from_this(), error](const Result<void>& room) {
    if (self->state_ == State::ended) return;
    if (!room) return self->end(error.with_context(room.error().message()), false);
    self->retry_now();
  });
}

void Fill::cancel_fetches() {
  for (auto& [number, fetch] : fetches_) {
    fetch.sink->stop();
    source_->cancel(fetch.id);
  }
}

}  // namespace otagate::cache
