#include "cache/feed.hpp"

#include <algorithm>
#include <utility>

namespace otagate::cache {

namespace {

constexpr std::size_t kMaxPeers = 4096;
constexpr int kMaxDemandsLookedAt = 256;

std::atomic<WaitId> last_wait{0};
std::atomic<std::uint64_t> last_reader{0};

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  return a > kUnknownSize - b ? kUnknownSize : a + b;
}

Error cancelled(const char* why) { return {Code::cancelled, why}; }

}  // namespace

Feed::Feed(std::shared_ptr<Loop> loop, UniqueFd fd, PageSlot slot, std::shared_ptr<FillFile> file,
           std::uint64_t size, std::uint64_t ready)
    : loop_(std::move(loop)),
      fd_(std::move(fd)),
      slot_(std::move(slot)),
      generation_(slot_.page().generation.load(std::memory_order_relaxed)),
      file_(std::move(file)) {
  page().total.store(size, std::memory_order_release);
  page().ready.store(ready, std::memory_order_release);
}

Feed::~Feed() {
  finish_all([](const Wait&) { return otagate::fail(cancelled("the reader is gone")); });
}

std::uint64_t Feed::ready(std::uint64_t offset) const {
  const PageState now = state();
  if (now == PageState::failed) return 0;
  const std::uint64_t prefix = page().ready.load(std::memory_order_acquire);
  if (offset < prefix) return prefix - offset;
  return file_ && now == PageState::filling ? file_->readable_until(offset) - offset : 0;
}

Error Feed::error() const {
  const std::scoped_lock lock(mutex_);
  return error_.value_or(Error(Code::ok, "the blob is readable"));
}

std::optional<Digest> Feed::digest() const {
  const std::scoped_lock lock(mutex_);
  return digest_;
}

void Feed::set_digest(const Digest& digest) {
  const std::scoped_lock lock(mutex_);
  digest_ = digest;
}

void Feed::add_peer(std::uint64_t peer) {
  const std::scoped_lock lock(mutex_);
  if (peers_.size() < kMaxPeers) peers_.insert(peer);
}

std::vector<std::uint64_t> Feed::peers() const {
  const std::scoped_lock lock(mutex_);
  return {peers_.begin(), peers_.end()};
}

WaitId Feed::want(std::uint64_t reader, std::uint64_t offset, std::uint64_t min_length,
                  std::uint64_t max_length, std::chrono::milliseconds timeout,
                  Reader::WantCallback callback) {
  Wait wait{reader,
            offset,
            saturating_add(offset, std::max<std::uint64_t>(min_length, 1)),
            saturating_add(offset, std::max(min_length, max_length)),
            std::move(callback),
            0,
            {}};
  const PageState now = state();
  if (now == PageState::failed) {
    wait.callback(otagate::fail(error()));
    return 0;
  }
  if (now == PageState::verified) {
    wait.callback(ready(offset));
    return 0;
  }
  const std::uint64_t total = size();
  if (total != kUnknownSize && offset >= total) {
    wait.callback(std::uint64_t{0});
    return 0;
  }
  if (!last_unreadable(wait)) {
    wait.callback(ready(offset));
    return 0;
  }
  const WaitId id = last_wait.fetch_add(1, std::memory_order_relaxed) + 1;
  auto shared = std::make_shared<Wait>(std::move(wait));
  const bool posted = loop_->post(
      [self = shared_from_this(), id, shared, timeout] { self->add_wait(id, std::move(*shared), timeout); });
  if (posted) return id;
  shared->callback(otagate::fail(cancelled("the cache has stopped")));
  return 0;
}

void Feed::cancel(WaitId wait) {
  if (wait == 0) return;
  loop_->post([self = shared_from_this(), wait] {
    self->finish(wait, otagate::fail(cancelled("the wait was cancelled")));
  });
}

std::uint64_t Feed::reader_added() {
  readers_.fetch_add(1, std::memory_order_acq_rel);
  return last_reader.fetch_add(1, std::memory_order_relaxed) + 1;
}

void Feed::reader_gone(std::uint64_t reader, bool waited) {
  readers_.fetch_sub(1, std::memory_order_acq_rel);
  if (!waited) return;
  loop_->post([self = shared_from_this(), reader] {
    std::vector<WaitId> mine;
    for (const auto& [id, wait] : self->waits_)
      if (wait.reader == reader) mine.push_back(id);
    for (const WaitId id : mine) self->finish(id, otagate::fail(cancelled("the reader was closed")));
  });
}

// The bytes of a verifying blob or of a fill that a wait still misses; the last of them.
std::optional<std::uint64_t> Feed::last_unreadable(const Wait& wait) const {
  const std::uint64_t end = std::min(wait.end, size());
  if (wait.begin >= end) return std::nullopt;
  if (end <= page().ready.load(std::memory_order_acquire)) return std::nullopt;
  if (state() == PageState::verified) return std::nullopt;
  return file_ ? file_->last_unreadable(wait.begin, end) : std::optional(end - 1);
}

void Feed::add_wait(WaitId id, Wait wait, std::chrono::milliseconds timeout) {
  if (state() == PageState::failed) return wait.callback(otagate::fail(error()));
  const auto missing = last_unreadable(wait);
  if (!missing) return wait.callback(ready(wait.begin));
  wait.position = by_last_missing_.emplace(*missing, id);
  if (timeout.count() > 0)
    wait.timer = loop_->after(timeout, [weak = weak_from_this(), id] {
      if (const auto self = weak.lock())
        self->finish(id, otagate::fail(Code::deadline, "the range was not there in time"));
    });
  waits_.emplace(id, std::move(wait));
  if (file_) demands_.insert(id);
  if (on_want_) on_want_();
}

void Feed::finish(WaitId id, Result<std::uint64_t> result) {
  const auto found = waits_.find(id);
  if (found == waits_.end()) return;
  const Reader::WantCallback callback = std::move(found->second.callback);
  if (found->second.timer != 0) loop_->cancel(found->second.timer);
  by_last_missing_.erase(found->second.position);
  demands_.erase(id);
  waits_.erase(found);
  callback(std::move(result));
}

void Feed::finish_all(const std::function<Result<std::uint64_t>(const Wait&)>& result) {
  std::map<WaitId, Wait> waits = std::exchange(waits_, {});
  by_last_missing_.clear();
  demands_.clear();
  for (auto& [id, wait] : waits) {
    if (wait.timer != 0) loop_->cancel(wait.timer);
    wait.callback(result(wait));
  }
}

void Feed::advance(std::span<const Range> ranges) {
  for (const Range& range : ranges) {
    std::vector<WaitId> touched;
    for (auto at = by_last_missing_.lower_bound(range.begin);
         at != by_last_missing_.end() && at->first < range.end; ++at)
      touched.push_back(at->second);
    for (const WaitId id : touched) {
      const auto found = waits_.find(id);
      if (found == waits_.end()) continue;
      Wait& wait = found->second;
      const auto missing = last_unreadable(wait);
      if (!missing) {
        finish(id, ready(wait.begin));
      } else if (*missing != wait.position->first) {
        by_last_missing_.erase(wait.position);
        wait.position = by_last_missing_.emplace(*missing, id);
      }
    }
  }
}

void Feed::publish(const Digest& digest, std::uint64_t size) {
  set_digest(digest);
  page().total.store(size, std::memory_order_release);
  page().ready.store(size, std::memory_order_release);
  page().state.store(static_cast<std::uint32_t>(PageState::verified), std::memory_order_release);
}

void Feed::complete(const Digest& digest, std::uint64_t size) {
  publish(digest, size);
  finish_all([size](const Wait& wait) -> Result<std::uint64_t> {
    return wait.begin < size ? size - wait.begin : 0;
  });
}

void Feed::fail(const Error& error) {
  {
    const std::scoped_lock lock(mutex_);
    if (error_) return;
    error_ = error;
  }
  page().state.store(static_cast<std::uint32_t>(PageState::failed), std::memory_order_release);
  finish_all([&error](const Wait&) { return otagate::fail(error); });
}

void Feed::for_each_demand(const Judge& judge) {
  if (!file_ || size() == kUnknownSize) return;
  int looked_at = 0;
  for (auto at = demands_.begin(); at != demands_.end();) {
    if (++looked_at > kMaxDemandsLookedAt) return;
    const Wait& wait = waits_.at(*at);
    const std::uint64_t end = std::min(wait.end, size());
    const std::uint64_t begin = file_->first_missing(wait.begin);
    // Nothing missing: verification alone is what it waits for.
    const Demand answer = begin < end ? judge(begin, end, std::min(wait.far_end, size())) : Demand::covered;
    if (answer == Demand::no_more) return;
    at = answer == Demand::covered ? demands_.erase(at) : std::next(at);
  }
}

}  // namespace otagate::cache
