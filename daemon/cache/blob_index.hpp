// Which blobs are cached, who uses them, and in which order they may go.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/cache.hpp"
#include "cache/feed.hpp"
#include "cache/layout.hpp"

namespace otagate::cache {

// Thread-safe. Opening and evicting exclude each other: a blob with a reader is not evicted, a blob that is
// being evicted is not opened.
class BlobIndex {
 public:
  using Clock = std::chrono::steady_clock;

  BlobIndex(const Layout& layout, std::shared_ptr<Loop> loop, std::shared_ptr<PageTable> pages)
      : layout_(layout), loop_(std::move(loop)), pages_(std::move(pages)) {}

  struct Opened {
    enum class Kind : std::uint8_t {
      missing,  // not cached
      ready,    // `reader` is of a verified blob
      verify,   // must be hashed: `reader` follows that, all but the tail readable (null if not streaming)
      bad,      // `error`: the file is not what it was; to be quarantined
      refused,  // `error`: no page or descriptor left
    };
    Kind kind = Kind::missing;
    ReaderPtr reader;
    std::optional<Error> error;
  };
  Opened open(const Digest& digest, bool streaming, std::uint64_t peer);

  // `feed`: of the fill that made it; may be null. An entry that is there already keeps its feed and gets
  // the higher level. `unverified`: hashed before its tail leaves. Returns the record as it is now.
  BlobRecord add(const BlobRecord& record, std::shared_ptr<Feed> feed, bool unverified, bool journaled);
  struct Verified {
    BlobRecord record;
    bool was_journaled = true;
    std::shared_ptr<Feed> feed;  // if somebody has it open
  };
  std::optional<Verified> mark_verified(const Digest& digest, const FileIdentity& identity,
                                        std::int64_t wall_ms);
  // Gone or bad. Its feed, if open.
  std::shared_ptr<Feed> erase(const Digest& digest);
  // busy: held by a reader, pin or verification; not_found.
  Result<void> begin_eviction(const Digest& digest);
  void cancel_eviction(const Digest& digest);

  bool has(const Digest& digest) const;
  bool evicting(const Digest& digest) const;
  bool unverified(const Digest& digest) const;
  void hold(const Digest& digest, bool held);  // while it is being hashed
  void pin(const Digest& digest, std::string_view owner);
  void unpin(const Digest& digest, std::string_view owner);

  std::uint64_t bytes() const;  // of blobs that are not being evicted
  std::size_t count() const;
  std::uint32_t readers() const;
  std::vector<BlobRecord> list() const;
  std::optional<BlobRecord> find(const Digest& digest) const;
  // Blobs that may be evicted now, least recently used first.
  std::vector<BlobRecord> evictable() const;
  // Those used since the last call; `now_ms` becomes their time of use (0: the clock is not to be trusted).
  std::vector<BlobRecord> take_used(std::int64_t now_ms);
  // The blob whose last whole hash is longest ago, if that is at least `interval`.
  std::optional<Digest> due_for_scrub(std::chrono::seconds interval, std::int64_t now_ms) const;

  // Closes what nobody has read for 10 s. Returns open blobs whose file has changed under the readers.
  std::vector<Digest> sweep();
  bool any_open() const;
  // Feeds that wait for verification, for a stop.
  std::vector<std::shared_ptr<Feed>> unverified_feeds() const;

 private:
  struct Entry {
    BlobRecord record;
    std::shared_ptr<Feed> feed;
    Clock::time_point feed_used{};
    Clock::time_point checked{};  // last whole hash in this run, or when it became known
    bool unverified = false;
    bool journaled = true;
    bool evicting = false;
    bool used = false;
    std::uint32_t held = 0;
  };
  static BlobRecord described(const Entry& entry, const std::map<Digest, std::set<std::string>>& pins);
  bool free_to_go(const Digest& digest, const Entry& entry) const;

  const Layout& layout_;
  const std::shared_ptr<Loop> loop_;
  const std::shared_ptr<PageTable> pages_;

  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<Digest, Entry> entries_;
  std::map<Digest, std::set<std::string>> pins_;
  std::uint64_t bytes_ = 0;
  std::uint64_t last_used_seq_ = 0;
};

}  // namespace otagate::cache
