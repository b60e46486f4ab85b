// What all readers of one blob share: the descriptor, the page, and who waits for what.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache/fill_file.hpp"
#include "cache/loop.hpp"
#include "cache/pages.hpp"
#include "cache/reader.hpp"
#include "core/fd.hpp"

namespace otagate::cache {

// A feed starts in state filling and ends as verified or failed, for good: what a fill has to take back
// from its readers it takes back by failing the feed and starting another.
class Feed : public std::enable_shared_from_this<Feed> {
 public:
  // `file`: the fill behind it; null for a cached blob. `ready` and `size` are where it stands now.
  Feed(std::shared_ptr<Loop> loop, UniqueFd fd, PageSlot slot, std::shared_ptr<FillFile> file,
       std::uint64_t size, std::uint64_t ready);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // --- any thread
  int fd() const { return fd_.get(); }
  Page& page() const { return slot_.page(); }
  std::uint32_t slot() const { return slot_.slot(); }
  std::uint64_t generation() const { return generation_; }
  PageState state() const { return static_cast<PageState>(page().state.load(std::memory_order_acquire)); }
  std::uint64_t size() const { return page().total.load(std::memory_order_acquire); }
  std::uint64_t ready(std::uint64_t offset) const;
  Error error() const;
  std::optional<Digest> digest() const;
  void set_digest(const Digest& digest);
  std::uint32_t readers() const { return readers_.load(std::memory_order_acquire); }
  // Returns the reader's number, never 0.
  std::uint64_t reader_added();
  // `waited`: it may have waits left, which complete with cancelled.
  void reader_gone(std::uint64_t reader, bool waited);
  // Peers are kept as hashes, 4096 of them; more are not told apart from none.
  void add_peer(std::uint64_t peer);
  std::vector<std::uint64_t> peers() const;
  WaitId want(std::uint64_t reader, std::uint64_t offset, std::uint64_t min_length, std::uint64_t max_length,
              std::chrono::milliseconds timeout, Reader::WantCallback callback);
  void cancel(WaitId wait);

  // --- the cache's thread
  // These ranges have become present: completes whom that satisfies.
  void advance(std::span<const Range> ranges);
  // All readable; the feed is verified. complete() tells who waits as well, publish() leaves that to it.
  void publish(const Digest& digest, std::uint64_t size);
  void complete(const Digest& digest, std::uint64_t size);
  void fail(const Error& error);
  std::size_t waiters() const { return waits_.size(); }
  // What the fill answers when asked about a range that is wanted and missing.
  enum class Demand : std::uint8_t {
    covered,  // comes anyhow: do not ask again
    later,    // keep it in mind
    no_more,  // keep it and end the round
  };
  using Judge = std::function<Demand(std::uint64_t begin, std::uint64_t end, std::uint64_t far_end)>;
  // Goes through what is wanted and not covered, longest-waiting first. `begin` is missing, `end` is where
  // the want ends, `far_end` how far it makes sense to fetch.
  void for_each_demand(const Judge& judge);
  // Called when a want has come in that was not readable.
  void set_on_want(std::function<void()> on_want) { on_want_ = std::move(on_want); }

 private:
  struct Wait {
    std::uint64_t reader;
    std::uint64_t begin;
    std::uint64_t end;      // cut to the size once that is known
    std::uint64_t far_end;  // max_length
    Reader::WantCallback callback;
    TimerId timer = 0;
    std::multimap<std::uint64_t, WaitId>::iterator position;
  };

  void add_wait(WaitId id, Wait wait, std::chrono::milliseconds timeout);
  std::optional<std::uint64_t> last_unreadable(const Wait& wait) const;
  void finish(WaitId id, Result<std::uint64_t> result);
  void finish_all(const std::function<Result<std::uint64_t>(const Wait&)>& result);

  const std::shared_ptr<Loop> loop_;
  const UniqueFd fd_;
  const PageSlot slot_;
  const std::uint64_t generation_;
  const std::shared_ptr<FillFile> file_;
  std::atomic<std::uint32_t> readers_{0};

  mutable std::mutex mutex_;  // guards the next three
  std::optional<Error> error_;
  std::optional<Digest> digest_;
  std::unordered_set<std::uint64_t> peers_;

  // The cache's thread only.
  std::map<WaitId, Wait> waits_;  // oldest first
  // Each wait under the last byte it misses: bytes come in order, so most are looked at once.
  std::multimap<std::uint64_t, WaitId> by_last_missing_;
  std::set<WaitId> demands_;  // waits whose bytes may need a fetch of their own
  std::function<void()> on_want_;
};

}  // namespace otagate::cache
