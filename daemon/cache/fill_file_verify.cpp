// FillFile, the part that reads back, syncs and commits.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cache/fill_file.hpp"

namespace otagate::cache {

namespace {
constexpr std::size_t kChunksPerStep = 16;
}

FillFile::Step FillFile::hash_step() {
  for (std::size_t budget = kChunksPerStep; budget > 0; --budget) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint32_t checksum = 0;
    {
      const std::scoped_lock lock(mutex_);
      const bool in_body = size_ == kUnknownSize || next_hash_ < body_chunks_;
      if (!in_body || !full(next_hash_)) return {.done = true, .bad = {}};
      begin = begin_of(next_hash_);
      end = end_of(next_hash_);
      checksum = chunks_[next_hash_].checksum;
    }
    if (!range_is_good(checksum, begin, end)) return {.done = false, .bad = next_hash_};
    sha_.update(std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(end - begin)));
    ++next_hash_;
  }
  return {};
}

bool FillFile::all_hashed() const {
  const std::scoped_lock lock(mutex_);
  return size_ != kUnknownSize && next_hash_ >= body_chunks_;
}

Digest FillFile::finish_digest() {
  const std::scoped_lock lock(mutex_);
  sha_.update(std::span<const std::byte>(tail_).first(static_cast<std::size_t>(size_ - body_)));
  next_hash_ = 0;
  next_closing_ = 0;
  return sha_.finish();
}

FillFile::Step FillFile::closing_step() {
  for (std::size_t budget = kChunksPerStep; budget > 0; --budget) {
    if (next_closing_ >= body_chunks_) {
      buffer_ = std::vector<std::byte>();  // no more reading back, as far as it looks
      return {.done = true, .bad = {}};
    }
    std::uint32_t checksum = 0;
    {
      const std::scoped_lock lock(mutex_);
      checksum = chunks_[next_closing_].checksum;
    }
    if (!range_is_good(checksum, begin_of(next_closing_), end_of(next_closing_)))
      return {.done = false, .bad = next_closing_};
    ++next_closing_;
  }
  return {};
}

void FillFile::invalidate(std::size_t chunk) {
  sha_.finish();
  next_hash_ = 0;
  next_closing_ = 0;
  const std::scoped_lock lock(mutex_);
  present_ -= chunks_[chunk].filled;
  chunks_[chunk] = {};
  prefix_chunk_ = std::min(prefix_chunk_, chunk);
  std::erase_if(undurable_, [chunk](const FillMap::Numbered& entry) { return entry.chunk == chunk; });
  (void)map_.erase(chunk);  // a stale entry would fail its check at the next start
  publish();
}

std::uint64_t FillFile::unsynced() const {
  const std::scoped_lock lock(mutex_);
  return unsynced_;
}

Result<void> FillFile::sync() {
  std::vector<FillMap::Numbered> entries;
  std::uint64_t covered = 0;
  bool folder_synced = false;
  {
    const std::scoped_lock lock(mutex_);
    entries = std::exchange(undurable_, {});
    covered = unsynced_;
    folder_synced = folder_synced_;
  }
  std::ranges::sort(entries, {}, &FillMap::Numbered::chunk);
  Result<void> result;
  if (::fdatasync(part_.get()) != 0) result = fail(errno_error("syncing a fill", errno));
  if (result) result = map_.put_durable(entries);
  if (result && !folder_synced) result = sync_folder(layout_.fills());
  const std::scoped_lock lock(mutex_);
  // Writers go on even if the sync failed: what is lost is only how much a power cut costs.
  unsynced_ -= covered;
  if (result)
    folder_synced_ = true;
  else
    undurable_.insert(undurable_.end(), entries.begin(), entries.end());
  synced_.notify_all();
  return result;
}

Result<FileIdentity> FillFile::commit(const Digest& digest, const std::filesystem::path& destination) {
  std::uint64_t body = 0;
  std::size_t tail = 0;
  {
    const std::scoped_lock lock(mutex_);
    body = body_;
    tail = static_cast<std::size_t>(size_ - body_);
  }
  const std::filesystem::path part = layout_.part(id_);
  // Neither tail_ nor map_ changes any more: all has been written and verified.
  Result<void> result = write_all(part_.get(), std::span<const std::byte>(tail_).first(tail), body);
  // Where a kill (a chunk) or a power cut (kMaxUnsynced) may cost all of it anyway, a seal is of no use.
  if (result && !destination.empty() && body > kChunkSize) result = map_.seal(digest, body > kMaxUnsynced);
  bool renamed = false;
  if (!destination.empty()) {
    if (result && ::fsync(part_.get()) != 0) result = fail(errno_error("syncing a blob", errno));
    if (result) {
      const std::filesystem::path folder = destination.parent_path();
      const bool made = ::mkdir(folder.c_str(), 0750) == 0;
      if (!made && errno != EEXIST) result = fail(errno_error("making " + folder.string(), errno));
      renamed = result && ::rename(part.c_str(), destination.c_str()) == 0;
      if (result && !renamed) result = fail(errno_error("moving a blob to " + destination.string(), errno));
      if (result) result = sync_folder(folder);
      if (result && made) result = sync_folder(folder.parent_path());
    }
  }
  if (!result) {
    if (renamed) (void)::rename(destination.c_str(), part.c_str());
    // Should this fail, too, FillFile cuts the tail off when it opens the file again.
    [[maybe_unused]] const int cut = ::ftruncate(part_.get(), static_cast<off_t>(body));
    return fail(result.error());
  }
  {
    const std::scoped_lock lock(mutex_);  // readers may keep this object for long
    map_.close();
  }
  return identify(part_.get());
}

void FillFile::discard() {
  // Failure leaves strays; reconcile removes those.
  (void)remove_file(layout_.part(id_));
  (void)remove_file(layout_.map(id_));
  (void)remove_file(layout_.durable_map(id_));
}

}  // namespace otagate::cache
