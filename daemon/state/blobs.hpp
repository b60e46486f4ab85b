// Blobs in the cache, how they were verified, and who wants them kept.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/firmware.hpp"
#include "state/query.hpp"

namespace otagate::state {

enum class BlobState : int { ok = 0, quarantined = 1 };

// The file as it was when last verified: if one of these differs, it is verified again.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

struct Blob {
  Digest digest{};
  std::uint64_t size = 0;
  std::int64_t added_ms = 0;
  std::int64_t used_sequence = 0;  // order of last use: eviction goes by this, no clock
  std::int64_t used_ms = 0;        // for the TTL, on a synchronised clock
  BlobState state = BlobState::ok;
  std::optional<std::string> reason{};  // of the quarantine
  FileStamp file{};
  std::int64_t pins = 0;  // joined on reading, ignored on writing
};

inline constexpr std::size_t kBlobPage = 1000;

Result<std::optional<Blob>> find_blob(Reader& db, const Digest& digest);
// By digest, after `after` (none: from the start); at most `limit`, bounded by kBlobPage.
Result<std::vector<Blob>> page_blobs(Reader& db, const std::optional<Digest>& after, std::size_t limit);
// Sound and unpinned, least recently used first, of used_sequence > after_sequence: what may be evicted.
// The caller knows which of them readers and attempts hold.
Result<std::vector<Blob>> page_evictable(Reader& db, std::int64_t after_sequence, std::size_t limit);

struct BlobTotals {
  std::uint64_t blobs = 0;
  std::uint64_t bytes = 0;
  std::uint64_t quarantined = 0;
  std::int64_t last_used_sequence = 0;  // the caller's counter goes on from here after a restart
};
Result<BlobTotals> total_blobs(Reader& db);

// Inserts or replaces; also how a verified file found on disk is adopted.
Result<void> put_blob(Writer& db, const Blob& blob);
Result<void> set_blob_file(Writer& db, const Digest& digest, const FileStamp& file);
Result<void> quarantine_blob(Writer& db, const Digest& digest, std::string_view reason);
// Also its verifications; pins stay. The file is unlinked after this has been acknowledged.
Result<void> delete_blob(Writer& db, const Digest& digest);

struct BlobUse {
  Digest digest{};
  std::int64_t sequence = 0;
  std::int64_t wall_ms = 0;
};
// Uses are gathered in memory and written together, at most every 10 minutes and at shutdown.
Result<void> touch_blobs(Writer& db, std::span<const BlobUse> uses);

// Verification is per (blob, policy): a policy is a store's or type's `require` plus its keys, named by the
// caller (<= 256 bytes).
// A wall_ms of 0 keeps the one there is.
Result<void> put_verification(Writer& db, const Digest& blob, std::string_view policy, Verified level,
                              std::int64_t wall_ms);
struct Verification {
  Verified level = Verified::none;
  std::int64_t wall_ms = 0;  // of the last whole hash, by a synchronised clock; 0: there was none
};
Result<std::optional<Verification>> find_verification(Reader& db, const Digest& blob,
                                                      std::string_view policy);

// A pin keeps a blob from eviction, also one that is not there yet. `owner` is "operator" or, later, a
// deployment; one pin per owner.
struct Pin {
  Digest digest{};
  std::string owner{};
  std::string reason{};
  std::int64_t added_ms = 0;
};
Result<void> put_pin(Writer& db, const Pin& pin);
// True if there was one.
Result<bool> delete_pin(Writer& db, const Digest& digest, std::string_view owner);
Result<std::vector<Pin>> pins_of(Reader& db, const Digest& digest);

}  // namespace otagate::state
