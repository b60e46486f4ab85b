// The cache of blobs: content-addressed files, the fills that make them, and what keeps them whole.
//
//   blobs/sha256/ab/<hex>          verified blobs
//   fills/<id>.part|.map|.sync     a fill, its map, and the copy of the map that survives a power cut
//   quarantine/<hex>.<n>           blobs whose bytes went bad, the newest few
//   running                        there while a cache runs: found at start, it tells of an unclean stop
//
// Threads: one that decides (callbacks and the Host's interfaces are called there), one that hashes, one
// that syncs, renames and unlinks. Bytes are written by whoever calls the Sink.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/host.hpp"
#include "cache/reader.hpp"
#include "cache/source.hpp"
#include "cache/types.hpp"

namespace otagate::cache {

class Core;

using ReaderPtr = std::shared_ptr<Reader>;

// What to open. At least one of `digest` and `source` must be there.
struct OpenRequest {
  FillKey key;                   // used when a fill is needed; key.expected also finds a cached blob
  std::optional<Digest> digest;  // the content, where it is known from an earlier fill
  // Makes the source of a fill; called at most once, on the cache's thread. Null: cached only.
  std::function<std::shared_ptr<Source>()> source;
  std::shared_ptr<Verifier> verifier;    // null: the expected digest or the length is all there is
  bool streaming = true;                 // false: the reader comes once the blob is verified
  bool prefetch = false;                 // queues behind fills that somebody waits for
  std::string peer;                      // who will get the bytes, for had_rejected_bytes(); empty: nobody
  std::chrono::milliseconds timeout{0};  // for a reader that is not streaming; 0: none
};

// Replaceable surroundings; defaults are the real ones.
struct Environment {
  struct Space {
    std::uint64_t total = 0;
    std::uint64_t available = 0;
  };
  std::function<Result<Space>(const std::filesystem::path&)> space;  // statvfs
  std::function<std::int64_t()> wall_ms;
  std::function<bool()> clock_synchronised;
  std::string boot_id;  // empty: the kernel's
};

class Cache {
 public:
  struct Options {
    std::filesystem::path root;  // created if missing; one cache per folder (locked)
    Limits limits;
    RetryPolicy retry;
    Environment environment;
    std::vector<BlobRecord> known;  // what the journal has
    // How often age, free space and scrub are looked at, and use is journaled.
    std::chrono::milliseconds maintenance_period{60'000};
  };
  using OpenCallback = std::function<void(Result<ReaderPtr>)>;
  using DoneCallback = std::function<void(Result<void>)>;

  // Makes the folders, takes the lock, starts the threads. Fast: looks at no blob.
  static Result<std::unique_ptr<Cache>> create(Options options, Host host);
  // stop().
  ~Cache();

  // Any thread. Calls back exactly once: inline or on the cache's thread. With `streaming` a reader of an
  // unfinished fill comes at once, otherwise when the blob is verified or the fill has failed.
  void open(OpenRequest request, const OpenCallback& callback);
  // The hot path: a reader of a cached blob, without a thread switch; not_found if it is not cached.
  // A blob that must be hashed first comes as a reader in state filling when `streaming`, else busy.
  Result<ReaderPtr> open_cached(const Digest& digest, bool streaming = true, std::string_view peer = {});
  bool has(const Digest& digest) const;

  // A reader met a read error or a short file under its blob: its readers are cut, the file is moved to
  // quarantine, the next open fetches it again. Any thread.
  void report_bad(const ReaderPtr& reader, const Error& why);

  // A pinned blob is never evicted; pins of several owners add up. The blob need not be cached yet.
  // Kept in memory only: the caller restores them at start. Any thread.
  void pin(const Digest& digest, std::string_view owner);
  void unpin(const Digest& digest, std::string_view owner);
  // busy if a reader, a fill or a pin holds it, not_found if it is not cached. Any thread.
  void evict(const Digest& digest, const DoneCallback& done);
  // Hashes the whole blob now. rejected: it was bad and is in quarantine. Any thread.
  void verify(const Digest& digest, const DoneCallback& done);
  // Stops a fill; its readers fail with cancelled. `discard`: what it has goes as well. Any thread.
  void cancel_fill(const FillKey& key, bool discard, const DoneCallback& done);

  // After READY: compares the journal's blobs with the disk, adopts verified blobs the journal lost
  // (by hashing them), removes stray files. Any thread.
  void reconcile(const DoneCallback& done);

  // Peers that opened a reader of bytes which turned out bad (bounded: the newest 4096). They must start
  // from 0 again: answer 412 / 4.12 to ranges elsewhere, and forget them once they do. Any thread.
  bool had_rejected_bytes(std::string_view peer, const FillKey& key) const;
  void forget_rejected_bytes(std::string_view peer, const FillKey& key);

  void set_limits(const Limits& limits);
  // Bandwidth cap of a store, by push-back in the sink; 0 lifts it. Any thread.
  void set_rate_limit(std::string_view store, std::uint64_t bytes_per_second);
  // Tries fills in back-off at once, e.g. when the uplink is back. Empty: of all stores. Any thread.
  void retry_now(std::string_view store);

  // Queries; they may wait for the cache's thread for a moment, so not from its callbacks' threads
  // of I/O. On the cache's own thread they run inline.
  Stats stats() const;
  std::vector<BlobRecord> blobs() const;
  std::optional<BlobRecord> blob(const Digest& digest) const;
  std::vector<FillInfo> fills() const;

  // The memory of all pages, read-only and sealed against resizing: for plugins in another process.
  int page_fd() const;

  // No new fills; fetches are cancelled, what they brought is made durable for the next start, waits
  // complete with cancelled. Returns when the threads have ended. Idempotent.
  void stop();

 private:
  explicit Cache(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace otagate::cache
