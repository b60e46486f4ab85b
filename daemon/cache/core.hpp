// What Cache is made of. Members are for the cache's thread unless they say otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/blob_index.hpp"
#include "cache/cache.hpp"
#include "cache/disk_scan.hpp"
#include "cache/fill.hpp"
#include "cache/layout.hpp"
#include "cache/link.hpp"
#include "cache/loop.hpp"
#include "cache/pages.hpp"
#include "cache/rejected_peers.hpp"
#include "cache/verify_job.hpp"

namespace otagate::cache {

// Counters; any thread.
struct Counters {
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> coalesced{0};
  std::atomic<std::uint64_t> fetched_bytes{0};
  std::atomic<std::uint64_t> fetches{0};
  std::atomic<std::uint64_t> fetch_failures{0};
  std::atomic<std::uint64_t> fills_completed{0};
  std::atomic<std::uint64_t> fills_failed{0};
  std::atomic<std::uint64_t> fills_rejected{0};
  std::atomic<std::uint64_t> chunks_refetched{0};
  std::atomic<std::uint64_t> evicted{0};
  std::atomic<std::uint64_t> quarantined{0};
  std::atomic<std::uint64_t> scrubbed{0};
};

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Cache::Options options, Host host, UniqueFd lock, std::shared_ptr<PageTable> pages,
       bool stopped_uncleanly);
  ~Core();

  // --- any thread
  void open(OpenRequest request, const Cache::OpenCallback& callback);
  Result<ReaderPtr> open_cached(const Digest& digest, bool streaming, std::uint64_t peer);
  void report_bad(const ReaderPtr& reader, const Error& why);
  void evict(const Digest& digest, const Cache::DoneCallback& done);
  void verify(const Digest& digest, const Cache::DoneCallback& done);
  void cancel_fill(const FillKey& key, bool discard, const Cache::DoneCallback& done);
  void reconcile(const Cache::DoneCallback& done);
  void set_limits(const Limits& limits);
  void set_rate_limit(std::string store, std::uint64_t bytes_per_second);
  void retry_now(std::string store);
  Stats stats();
  std::vector<FillInfo> fills();
  void start();
  void stop();
  BlobIndex& index() { return index_; }
  RejectedPeers& rejected_peers() { return rejected_peers_; }
  PageTable& pages() { return *pages_; }
  static std::uint64_t peer_hash(std::string_view peer);  // 0 for nobody

  // --- for fills and verifications
  Loop& main() { return *main_; }
  const std::shared_ptr<Loop>& main_ptr() const { return main_; }
  Loop& hash() { return hash_; }
  Loop& disk() { return disk_; }
  const Layout& layout() const { return layout_; }
  const std::shared_ptr<PageTable>& page_table() const { return pages_; }
  const RetryPolicy& retry() const { return retry_; }
  const std::string& boot_id() const { return boot_id_; }
  Counters& counters() { return counters_; }
  Journal& journal() { return *host_.journal; }
  bool stopping() const { return stopping_; }
  void emit(const Event& event);
  // Calls back once `bytes` fit under the limits, after evicting what must go for that; no_space.
  void make_room(std::uint64_t bytes, Cache::DoneCallback done);
  // Puts the verified bytes of a fill in place, then has the fill announce them.
  void store(const std::shared_ptr<Fill>& fill, const Digest& digest, VerifyLevel level);
  // Of a process that was killed between moving a blob into place and telling the journal: the blob's file
  // is the fill's again, which checks it, verifies it and asks for its tail once more.
  bool take_back(const std::string& id);
  void fill_ended(const std::shared_ptr<Fill>& fill, bool kept);
  // Whoever had bytes through this feed must start from 0 again.
  void note_rejected(const Feed& feed, const FillKey* key);
  void quarantine(const Digest& digest, const std::string& reason);

 private:
  struct RoomRequest {
    std::uint64_t bytes;
    Cache::DoneCallback done;
  };

  // core_open.cpp
  void open_on_loop(const std::shared_ptr<OpenRequest>& request, Cache::OpenCallback callback);
  bool open_blob(const std::shared_ptr<OpenRequest>& request, const Digest& digest,
                 Cache::OpenCallback& callback);
  bool adopt_if_on_disk(const Digest& digest);
  std::shared_ptr<Fill> find_fill(const FillKey& key) const;
  void start_queued_fills();
  std::shared_ptr<Link> link(const std::string& store);

  // core_store.cpp
  void stored(const std::shared_ptr<Fill>& fill, const Digest& digest, VerifyLevel level, bool had,
              Result<FileIdentity> identity);
  void serve_room_requests();
  Result<std::vector<BlobRecord>> choose_victims(std::uint64_t bytes);
  void drop_idle_partials(std::uint64_t missing);
  void evict_blob(const Digest& digest, const std::string& reason, const Cache::DoneCallback& done);
  void evicted(const Digest& digest, const Result<void>& result, const Cache::DoneCallback& done);
  void expire();

  // core_check.cpp
  void start_verification(const Digest& digest, std::uint64_t pace, Cache::DoneCallback done);
  void verification_ended(const Digest& digest, const VerifyJob::Outcome& outcome);
  void maintain();
  void arm_sweep();
  void compare_with_disk(const DiskScan& scan, const Cache::DoneCallback& done);
  void adopt_next(const std::shared_ptr<std::deque<Digest>>& rest, const Cache::DoneCallback& done);

  Cache::DoneCallback tracked(Cache::DoneCallback done);
  std::int64_t trusted_wall_ms() const;  // 0 while the clock is not synchronised

  const Layout layout_;
  const Host host_;
  const RetryPolicy retry_;
  const Environment environment_;
  const std::string boot_id_;
  const std::chrono::milliseconds maintenance_period_;
  const UniqueFd lock_;
  const std::shared_ptr<PageTable> pages_;
  const std::shared_ptr<Loop> main_;
  Loop hash_;
  Loop disk_;
  BlobIndex index_;
  RejectedPeers rejected_peers_;
  Counters counters_;
  std::atomic<bool> sweep_armed_{false};
  std::mutex stop_mutex_;  // one stop() at a time
  bool stop_done_ = false;

  // The cache's thread only.
  bool stopping_ = false;
  Limits limits_;
  std::map<FillKey, std::shared_ptr<Fill>> fills_;
  std::map<Digest, std::weak_ptr<Fill>> fills_by_digest_;  // by expected digest
  std::list<std::shared_ptr<Fill>> queued_;
  std::size_t active_fills_ = 0;
  std::map<std::string, std::shared_ptr<Link>> links_;
  std::map<std::string, std::uint64_t> idle_partials_;  // bytes on disk of fills that are not running, by id
  std::deque<RoomRequest> room_requests_;
  bool making_room_ = false;
  std::map<Digest, std::vector<std::function<void()>>> after_eviction_;
  std::map<Digest, std::shared_ptr<VerifyJob>> jobs_;
  std::optional<Digest> scrubbing_;
  std::set<Digest> leaving_;                              // bad blobs on their way to the quarantine
  std::map<std::uint64_t, Cache::DoneCallback> pending_;  // completed with cancelled at stop
  std::uint64_t last_pending_ = 0;
};

}  // namespace otagate::cache
