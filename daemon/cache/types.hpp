// The plain values of the cache: what a fill is of, what is kept of a blob, limits, progress, events.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"

namespace otagate::cache {

// Unit of checksum and of what a killed process loses: a chunk is kept once all of it is in the file.
inline constexpr std::uint64_t kChunkSize = 64 * 1024;
// Smallest request a fill makes while more than that is missing in one piece.
inline constexpr std::uint64_t kSegmentSize = 256 * 1024;
// The held tail: the last bytes of a blob, in host memory only until verification has passed.
inline constexpr std::uint64_t kTailSize = 4 * 1024;
// Largest object a fill accepts; its map then takes 2 MiB.
inline constexpr std::uint64_t kMaxObjectSize = 16ull << 30;
inline constexpr std::uint64_t kUnknownSize = std::numeric_limits<std::uint64_t>::max();

// Identity of a fill: one version of one object of one store. Two requests with equal keys share a
// fill; so do two with the same expected digest, whatever store they name.
struct FillKey {
  std::string store;         // the store's configured name
  std::string object;        // its key in the store, as the store spells it
  std::string change_token;  // ETag or the like; empty where the store has none
  std::optional<Digest> expected;

  auto operator<=>(const FillKey&) const = default;
  // Stable name of the fill's files: 32 hex digits made of all four members.
  std::string id() const;
};

// How much is known about the bytes, weakest first (shown as `verified` in the catalog).
enum class VerifyLevel : std::uint8_t { none = 0, length = 1, format = 2, digest = 3, signature = 4 };
std::string_view to_string(VerifyLevel level);

// What a blob's file looked like when its bytes were last checked. Any difference at open means that
// the bytes are hashed again before the tail leaves.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

// One cached blob, as the journal keeps it and as listings show it.
struct BlobRecord {
  Digest digest;
  std::uint64_t size = 0;
  FileIdentity identity;
  VerifyLevel level = VerifyLevel::none;
  std::uint64_t last_used_seq = 0;  // order of use; grows by one with each use, clock or no clock
  std::int64_t last_used_ms = 0;    // wall clock of the same moment, for the TTL only
  std::int64_t verified_ms = 0;     // wall clock of the last whole hash, for the scrub
  // Only in listings, ignored when given to Cache::create:
  std::vector<std::string> pins;  // owners
  std::uint32_t readers = 0;
  bool needs_verification = false;  // hashed again at its next use
};

// Limits; all may be changed while the cache runs.
struct Limits {
  std::uint64_t max_size = 0;  // bytes of blobs and partial fills; 0: only the free-space floor counts
  // Free space kept on the file system: max(bytes, percent), but never more than a quarter of a small one.
  std::uint64_t free_floor_bytes = 256ull << 20;
  std::uint32_t free_floor_percent = 5;
  std::chrono::seconds ttl{0};                         // unused for so long: evicted; 0: never
  std::uint64_t scrub_bytes_per_second = 1 << 20;      // 0: no scrub
  std::chrono::seconds scrub_interval{7 * 24 * 3600};  // each blob once in that time
  std::uint32_t max_active_fills = 8;                  // further ones queue, readers' before prefetches'
  std::uint32_t max_queued_fills = 1024;               // beyond: busy
};

// Times of the fill's retry policy. Tests shorten them.
struct RetryPolicy {
  std::chrono::milliseconds first{500};    // back-off doubles from here, +-25 % jitter,
  std::chrono::milliseconds most{15'000};  // up to here; a longer retry_after of the store wins
  std::uint32_t attempts =
      10;  // failures in a row without one new byte: the fill fails, a later open starts again
};

// A fill in progress, for listings.
struct FillInfo {
  std::string id;
  FillKey key;
  std::uint64_t size = kUnknownSize;
  std::uint64_t present = 0;  // bytes at hand, held tail included
  std::uint64_t ready = 0;    // contiguous from 0
  std::uint64_t fetched = 0;  // bytes that came over the uplink in this run
  std::uint64_t bytes_per_second = 0;
  std::uint32_t readers = 0;
  std::uint32_t waiters = 0;
  std::string state;  // "queued", "checking", "fetching", "waiting" (back-off), "verifying", "storing"
  std::string last_error;
};

struct Stats {
  std::uint64_t blobs = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t partial_bytes = 0;  // of fills, running or waiting to be resumed
  std::uint64_t readers = 0;
  std::uint64_t fills = 0;
  std::uint64_t hits = 0;       // opens answered from a cached blob
  std::uint64_t misses = 0;     // opens that started a fill
  std::uint64_t coalesced = 0;  // opens that joined one
  std::uint64_t fetched_bytes = 0;
  std::uint64_t fetches = 0;
  std::uint64_t fetch_failures = 0;
  std::uint64_t fills_completed = 0;
  std::uint64_t fills_failed = 0;
  std::uint64_t fills_rejected = 0;
  std::uint64_t chunks_refetched = 0;
  std::uint64_t evicted = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t scrubbed = 0;
  std::int64_t loop_lag_us = 0;  // how late the last timer of the cache's loop was
};

// Something an operator may want to know. `key` is empty for events about blobs without a fill.
struct Event {
  enum class Kind : std::uint8_t {
    fill_started,
    fill_completed,
    fill_failed,      // code and message of the last error; a later open starts again
    fill_rejected,    // verification failed: the tag is retired, readers were cut
    fill_changed,     // the object changed under the fill
    chunk_refetched,  // the file gave back other bytes than were written: readers cut, chunk fetched again
    no_space,
    blob_adopted,  // found on disk, hashed, unknown to the journal until now
    blob_evicted,
    blob_quarantined,
    blob_verified,  // scrub, verify() or first use after an unclean stop
    blob_lost,      // known to the journal, gone from the disk
  };
  Kind kind;
  FillKey key;
  std::optional<Digest> digest;
  Code code = Code::ok;
  std::string message;
};
std::string_view to_string(Event::Kind kind);

}  // namespace otagate::cache
