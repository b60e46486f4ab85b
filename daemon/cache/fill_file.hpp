// The bytes of one fill: the .part file, its map, and the held tail in memory.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/fill_map.hpp"
#include "cache/host.hpp"
#include "cache/layout.hpp"
#include "cache/page.hpp"
#include "cache/types.hpp"

namespace otagate::cache {

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Thread-safe, with these duties: writers (sinks) write, one per chunk at a time, which the scheduler sees
// to; the hash thread checks and hashes; the disk thread syncs and commits; the cache's thread asks.
//
// The object is cut into chunks of 64 KiB over its body, then one last chunk: the held tail, which is in
// `tail_` only until commit(). Size unknown: the last 4 KiB that have come are held back, and nothing is
// readable before the end.
class FillFile : public BlobView {
 public:
  // How much may be written and not yet synced before writers are held back: what a power cut costs.
  static constexpr std::uint64_t kMaxUnsynced = 8ull << 20;
  static constexpr std::uint64_t kSyncEvery = kMaxUnsynced / 2;

  // Opens or makes the files; what an earlier run left must pass check_step() before it counts. Reserves
  // the disk space when the size is known. no_space, invalid, denied, transient.
  static Result<std::shared_ptr<FillFile>> open(const Layout& layout, const FillKey& key, std::uint64_t size,
                                                const std::string& boot_id);
  // A second descriptor of the .part, read-only.
  Result<UniqueFd> open_read_only() const;

  // --- an earlier run's chunks; hash thread, before anything is written
  // Reads up to 16 of them again and keeps those that match. True when none is left to check.
  bool check_step();

  // --- writers
  struct Cursor {
    std::uint64_t position = 0;
    std::uint32_t checksum = 0;  // of a chunk that is there already and is only compared
  };
  // Writes at the cursor and moves it. Bytes that are there already (a stream that had to start again)
  // are compared instead: changed if they differ. Blocks while too much is unsynced. cancelled once closed.
  Result<void> write(Cursor& cursor, std::span<const std::byte> bytes);
  // The store has told the size of an object that came without; only before its first byte.
  Result<void> set_size(std::uint64_t size);
  // Before a stream of an object without size starts again at 0.
  void rewind_stream();
  // An object without size has come to its end.
  Result<void> finish_stream();
  // No more writes; wakes those who are held back.
  void close();

  // --- questions, any thread
  std::uint64_t size() const override;  // kUnknownSize
  std::uint64_t body_size() const;      // all but the held tail
  bool complete() const;
  std::uint64_t present() const;
  // First byte not there, from `from` on, or the size. Ignores the difference between body and tail.
  std::uint64_t first_missing(std::uint64_t from) const;
  // First byte that is there, from `from` on, or the size.
  std::uint64_t first_present(std::uint64_t from) const;
  // Where a fetch for the missing byte `position` must begin: right behind what its chunk has.
  std::uint64_t fetch_begin(std::uint64_t position) const;
  // End of the readable run that `from` lies in; `from` if it is not readable.
  std::uint64_t readable_until(std::uint64_t from) const;
  // Last byte of [begin, end) that is not readable, if any.
  std::optional<std::uint64_t> last_unreadable(std::uint64_t begin, std::uint64_t end) const;
  // Of what is there, the tail included: for the verifier.
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const override;

  // --- progress: `notify` is called from writers when take_progress() has something new
  void set_notify(std::function<void()> notify);
  std::vector<Range> take_progress();
  // Page to publish readiness on; null for none. The page must stay valid until replaced.
  void attach(Page* page);

  // --- hash thread
  struct Step {
    bool done = false;               // nothing left to do until more has come
    std::optional<std::size_t> bad;  // this chunk's bytes are not those that were written
  };
  // Reads the next chunks of the contiguous prefix back, compares and hashes them, at most 16.
  Step hash_step();
  bool all_hashed() const;  // the body, that is
  // Digest of body and tail; when all_hashed() and complete().
  Digest finish_digest();
  // Compares once more whatever was hashed earlier: a byte may have changed behind the hash. At most 16
  // chunks a call.
  Step closing_step();
  // A chunk that went bad is missing again; hashing starts over. Only between steps.
  void invalidate(std::size_t chunk);

  // --- disk thread
  std::uint64_t unsynced() const;
  Result<void> sync();
  // Adds the tail, syncs and moves the file to `destination` (or, if empty, leaves it: the same blob is
  // there already). On failure the tail is cut off again. The maps stay until discard().
  Result<FileIdentity> commit(const Digest& digest, const std::filesystem::path& destination);
  // Removes what is left of the files; who has them open goes on.
  void discard();

 private:
  struct Chunk {
    std::uint32_t checksum = 0;
    std::uint32_t filled = 0;
  };

  FillFile(Layout layout, std::string id, UniqueFd part, FillMap map);

  void set_geometry(std::uint64_t size);
  std::size_t index_of(std::uint64_t position) const;
  std::uint64_t begin_of(std::size_t chunk) const;
  std::uint64_t end_of(std::size_t chunk) const;
  bool full(std::size_t chunk) const;
  Result<void> write_at(Cursor& cursor, std::span<const std::byte> bytes);
  Result<void> write_stream(Cursor& cursor, std::span<const std::byte> bytes);
  Result<void> added(std::size_t chunk, std::uint64_t begin, std::size_t count, std::uint32_t checksum);
  Result<void> completed(std::size_t chunk);
  void publish();
  bool range_is_good(std::uint32_t checksum, std::uint64_t begin, std::uint64_t end);

  const Layout layout_;
  const std::string id_;
  const UniqueFd part_;

  mutable std::mutex mutex_;  // guards what follows, down to the next heading
  std::condition_variable synced_;
  FillMap map_;
  std::uint64_t size_ = kUnknownSize;
  std::uint64_t body_ = kUnknownSize;
  std::size_t body_chunks_ = 0;
  std::vector<Chunk> chunks_;
  std::vector<MapEntry> candidates_;
  std::array<std::byte, kTailSize> tail_{};
  std::vector<std::byte> hold_;   // size unknown: the newest bytes, not in the file yet
  std::uint64_t streamed_ = 0;    // size unknown: bytes in the file
  std::size_t prefix_chunk_ = 0;  // first chunk that is not full
  std::uint64_t present_ = 0;
  std::vector<Range> progress_;
  bool notified_ = false;
  std::function<void()> notify_;
  Page* page_ = nullptr;
  std::vector<FillMap::Numbered> undurable_;  // full chunks the durable map does not have
  std::uint64_t unsynced_ = 0;
  bool closed_ = false;
  bool folder_synced_ = false;

  // Hash thread only.
  Sha256 sha_;
  std::size_t next_check_ = 0;
  std::size_t next_hash_ = 0;
  std::size_t next_closing_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace otagate::cache
