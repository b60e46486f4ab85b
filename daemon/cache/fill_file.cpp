#include "cache/fill_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cache/checksum.hpp"

namespace otagate::cache {

namespace {
constexpr std::size_t kChunksPerStep = 16;
}

FillFile::FillFile(Layout layout, std::string id, UniqueFd part, FillMap map)
    : layout_(std::move(layout)), id_(std::move(id)), part_(std::move(part)), map_(std::move(map)) {}

Result<std::shared_ptr<FillFile>> FillFile::open(const Layout& layout, const FillKey& key, std::uint64_t size,
                                                 const std::string& boot_id) {
  if (size != kUnknownSize && size > kMaxObjectSize)
    return fail(Code::invalid, "the object has " + std::to_string(size) + " bytes; the most is " +
                                   std::to_string(kMaxObjectSize));
  const std::string id = key.id();
  const MapHeader header{key, size, boot_id};
  const std::uint64_t body = size == kUnknownSize ? 0 : size - std::min(size, kTailSize);
  const std::size_t body_chunks = static_cast<std::size_t>((body + kChunkSize - 1) / kChunkSize);
  std::vector<MapEntry> candidates;
  if (size != kUnknownSize) candidates = FillMap::load(layout, header, body_chunks);
  if (std::ranges::none_of(candidates, [](const MapEntry& entry) { return entry.mark != 0; }))
    candidates.clear();

  auto part = open_file(layout.part(id), O_RDWR | O_CREAT | (candidates.empty() ? O_TRUNC : 0));
  if (!part) return fail(part.error());
  const auto identity = identify(part->get());
  if (!identity) return fail(identity.error());
  // A process killed while it committed has left the tail in the file; it must not be read from there.
  if (identity->size > body && ::ftruncate(part->get(), static_cast<off_t>(body)) != 0)
    return fail(errno_error("cutting " + layout.part(id).string(), errno));
  // Reserved rather than found missing half way. Where the file system cannot, writing will tell.
  if (size != kUnknownSize && size > 0 &&
      ::fallocate(part->get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) != 0 &&
      (errno == ENOSPC || errno == EDQUOT))
    return fail(errno_error("reserving " + std::to_string(size) + " bytes for a fill", errno));
  auto map = FillMap::create(layout, header, candidates);
  if (!map) return fail(map.error());
  std::shared_ptr<FillFile> file(new FillFile(layout, id, std::move(*part), std::move(*map)));
  if (size != kUnknownSize) file->set_geometry(size);
  file->candidates_ = std::move(candidates);
  return file;
}

Result<UniqueFd> FillFile::open_read_only() const { return open_file(layout_.part(id_), O_RDONLY); }

void FillFile::set_geometry(std::uint64_t size) {
  size_ = size;
  body_ = size - std::min(size, kTailSize);
  body_chunks_ = static_cast<std::size_t>((body_ + kChunkSize - 1) / kChunkSize);
  chunks_.resize(body_chunks_ + (size > 0 ? 1 : 0));
}

std::size_t FillFile::index_of(std::uint64_t position) const {
  return position < body_ ? static_cast<std::size_t>(position / kChunkSize) : body_chunks_;
}

std::uint64_t FillFile::begin_of(std::size_t chunk) const {
  return size_ == kUnknownSize || chunk < body_chunks_ ? chunk * kChunkSize : body_;
}

std::uint64_t FillFile::end_of(std::size_t chunk) const {
  if (size_ == kUnknownSize) return (chunk + 1) * kChunkSize;
  return chunk < body_chunks_ ? std::min((chunk + 1) * kChunkSize, body_) : size_;
}

bool FillFile::full(std::size_t chunk) const {
  return chunk < chunks_.size() && chunks_[chunk].filled == end_of(chunk) - begin_of(chunk);
}

bool FillFile::range_is_good(std::uint32_t checksum, std::uint64_t begin, std::uint64_t end) {
  buffer_.resize(kChunkSize);
  const std::span<std::byte> out(buffer_.data(), static_cast<std::size_t>(end - begin));
  const auto got = read_some(part_.get(), out, begin);
  return got && *got == out.size() && crc32c(0, out) == checksum;
}

bool FillFile::check_step() {
  std::size_t budget = kChunksPerStep;
  while (next_check_ < candidates_.size() && budget > 0) {
    const std::size_t chunk = next_check_++;
    const MapEntry entry = candidates_[chunk];
    if (entry.mark == 0) continue;
    --budget;
    const bool good = range_is_good(entry.checksum, begin_of(chunk), end_of(chunk));
    const std::scoped_lock lock(mutex_);
    if (!good) {
      (void)map_.erase(chunk);  // at worst it is checked once more next time
      continue;
    }
    const auto length = static_cast<std::uint32_t>(end_of(chunk) - begin_of(chunk));
    chunks_[chunk] = {entry.checksum, length};
    undurable_.push_back({chunk, entry});
    present_ += length;
    while (full(prefix_chunk_)) ++prefix_chunk_;
    progress_.push_back({begin_of(chunk), end_of(chunk)});
    publish();
  }
  if (next_check_ < candidates_.size()) return false;
  candidates_ = std::vector<MapEntry>();
  next_check_ = 0;
  return true;
}

Result<void> FillFile::write(Cursor& cursor, std::span<const std::byte> bytes) {
  std::function<void()> notify;
  Result<void> wrote;
  bool unknown = false;
  {
    std::unique_lock lock(mutex_);
    synced_.wait(lock, [this] { return closed_ || unsynced_ < kMaxUnsynced; });
    if (closed_) return fail(Code::cancelled, "the fill has ended");
    unknown = size_ == kUnknownSize;
  }
  wrote = unknown ? write_stream(cursor, bytes) : write_at(cursor, bytes);
  {
    const std::scoped_lock lock(mutex_);
    if (!notified_ && !progress_.empty()) {
      notified_ = true;
      notify = notify_;
    }
  }
  if (notify) notify();
  return wrote;
}

Result<void> FillFile::write_at(Cursor& cursor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    std::unique_lock lock(mutex_);
    if (cursor.position >= size_)
      return fail(Code::transient, "the store sent more bytes than the object has");
    const std::size_t chunk = index_of(cursor.position);
    if (chunk >= chunks_.size()) {
      if (cursor.position >= kMaxObjectSize)
        return fail(Code::permanent, "the object has more than " + std::to_string(kMaxObjectSize) + " bytes");
      chunks_.resize(chunk + 1);
    }
    const std::uint64_t begin = begin_of(chunk);
    const std::uint64_t at = cursor.position - begin;
    const Chunk had = chunks_[chunk];
    if (at < had.filled) {  // there already: compare
      const std::size_t count =
          std::min<std::size_t>(bytes.size(), had.filled - static_cast<std::size_t>(at));
      lock.unlock();
      cursor.checksum = crc32c(at == 0 ? 0 : cursor.checksum, bytes.first(count));
      if (at + count == had.filled && cursor.checksum != had.checksum)
        return fail(Code::changed, "the store sends other bytes than before for the same version");
      cursor.position += count;
      bytes = bytes.subspan(count);
      continue;
    }
    if (at > had.filled) return fail(Code::internal, "a fetch left a gap in the fill");
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), end_of(chunk) - cursor.position));
    const auto piece = bytes.first(count);
    if (size_ != kUnknownSize && chunk == body_chunks_) {
      std::memcpy(tail_.data() + at, piece.data(), count);
      lock.unlock();
    } else {
      lock.unlock();
      if (auto wrote = write_all(part_.get(), piece, cursor.position); !wrote) return wrote;
    }
    if (auto counted = added(chunk, cursor.position, count, crc32c(had.checksum, piece)); !counted)
      return counted;
    cursor.position += count;
    bytes = bytes.subspan(count);
  }
  return {};
}

Result<void> FillFile::write_stream(Cursor& cursor, std::span<const std::byte> bytes) {
  // hold_ and streamed_ change in this thread only (a fill without size has one fetch), rewind aside, which
  // happens between fetches.
  if (cursor.position < streamed_) {
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), streamed_ - cursor.position));
    if (auto compared = write_at(cursor, bytes.first(count)); !compared) return compared;
    bytes = bytes.subspan(count);
  }
  const std::size_t held = hold_.size() + bytes.size();
  std::size_t out = held > kTailSize ? held - kTailSize : 0;
  Cursor file{streamed_, 0};
  const std::size_t from_hold = std::min(out, hold_.size());
  if (auto wrote = write_at(file, std::span<const std::byte>(hold_).first(from_hold)); !wrote) return wrote;
  if (auto wrote = write_at(file, bytes.first(out - from_hold)); !wrote) return wrote;
  const std::scoped_lock lock(mutex_);
  streamed_ += out;
  present_ += bytes.size() - out;  // added() has counted what went to the file
  hold_.erase(hold_.begin(), hold_.begin() + static_cast<std::ptrdiff_t>(from_hold));
  const auto rest = bytes.subspan(out - from_hold);
  hold_.insert(hold_.end(), rest.begin(), rest.end());
  cursor.position += bytes.size();
  return {};
}

Result<void> FillFile::added(std::size_t chunk, std::uint64_t begin, std::size_t count,
                             std::uint32_t checksum) {
  const std::scoped_lock lock(mutex_);
  // A sender that goes on after its fetch was completed meets the next one here.
  if (closed_ || begin_of(chunk) + chunks_[chunk].filled != begin)
    return fail(Code::cancelled, "the fetch is not the one that fills this range any more");
  chunks_[chunk].checksum = checksum;
  chunks_[chunk].filled += static_cast<std::uint32_t>(count);
  present_ += count;
  if (size_ == kUnknownSize || chunk < body_chunks_) unsynced_ += count;
  // Runs of the same fetch grow the last ranges; two fetches alternate.
  const std::size_t look_back = std::min<std::size_t>(progress_.size(), 4);
  const auto grown = std::find_if(progress_.end() - static_cast<std::ptrdiff_t>(look_back), progress_.end(),
                                  [begin](const Range& range) { return range.end == begin; });
  if (grown != progress_.end())
    grown->end += count;
  else
    progress_.push_back({begin, begin + count});
  Result<void> result;
  if (full(chunk)) result = completed(chunk);
  publish();
  return result;
}

// Under the lock: `chunk` has just become full.
Result<void> FillFile::completed(std::size_t chunk) {
  while (full(prefix_chunk_)) ++prefix_chunk_;
  if (size_ != kUnknownSize && chunk == body_chunks_) return {};  // the tail is on no disk
  undurable_.push_back({chunk, {chunks_[chunk].checksum, MapEntry::kPresent}});
  return map_.put(chunk, chunks_[chunk].checksum);
}

// Under the lock.
void FillFile::publish() {
  if (page_ == nullptr || size_ == kUnknownSize) return;
  const std::uint64_t prefix =
      prefix_chunk_ < chunks_.size() ? begin_of(prefix_chunk_) + chunks_[prefix_chunk_].filled : size_;
  page_->ready.store(std::min(prefix, body_), std::memory_order_release);
}

Result<void> FillFile::set_size(std::uint64_t size) {
  const std::scoped_lock lock(mutex_);
  if (size_ == size) return {};
  if (size_ != kUnknownSize)
    return fail(Code::changed,
                "the object has " + std::to_string(size) + " bytes now, it had " + std::to_string(size_));
  if (size > kMaxObjectSize)
    return fail(Code::invalid, "the object has " + std::to_string(size) + " bytes; the most is " +
                                   std::to_string(kMaxObjectSize));
  if (present_ > 0) return {};  // it goes on as a stream; its end decides
  set_geometry(size);
  if (page_ != nullptr) page_->total.store(size, std::memory_order_release);
  return {};
}

void FillFile::rewind_stream() {
  const std::scoped_lock lock(mutex_);
  if (size_ != kUnknownSize) return;
  present_ -= hold_.size();
  hold_.clear();
}

Result<void> FillFile::finish_stream() {
  const std::scoped_lock lock(mutex_);
  if (size_ != kUnknownSize) return {};
  if (present_ < streamed_) return fail(Code::transient, "the stream ended early");
  const std::vector<std::byte> tail = std::move(hold_);
  hold_.clear();
  const std::uint64_t streamed = streamed_;
  set_geometry(streamed + tail.size());
  // A shorter stream than 4 KiB has no body, and no longer one has less than 4 KiB held: body_ == streamed_.
  std::copy(tail.begin(), tail.end(), tail_.begin());
  Result<void> result;
  if (!tail.empty()) chunks_[body_chunks_] = {crc32c(0, tail), static_cast<std::uint32_t>(tail.size())};
  if (body_chunks_ > 0 && body_ % kChunkSize != 0) result = completed(body_chunks_ - 1);
  while (full(prefix_chunk_)) ++prefix_chunk_;
  if (page_ != nullptr) page_->total.store(size_, std::memory_order_release);
  publish();
  return result;
}

void FillFile::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  notify_ = nullptr;
  synced_.notify_all();
}

std::uint64_t FillFile::size() const {
  const std::scoped_lock lock(mutex_);
  return size_;
}

std::uint64_t FillFile::body_size() const {
  const std::scoped_lock lock(mutex_);
  return body_;
}

bool FillFile::complete() const {
  const std::scoped_lock lock(mutex_);
  return size_ != kUnknownSize && prefix_chunk_ >= chunks_.size();
}

std::uint64_t FillFile::present() const {
  const std::scoped_lock lock(mutex_);
  return present_;
}

std::uint64_t FillFile::first_missing(std::uint64_t from) const {
  const std::scoped_lock lock(mutex_);
  std::size_t chunk = std::max(index_of(from), prefix_chunk_);
  for (; chunk < chunks_.size(); ++chunk)
    if (!full(chunk)) return std::max(from, begin_of(chunk) + chunks_[chunk].filled);
  return size_;
}

std::uint64_t FillFile::first_present(std::uint64_t from) const {
  const std::scoped_lock lock(mutex_);
  std::size_t chunk = index_of(from);
  if (chunk < chunks_.size() && from < begin_of(chunk) + chunks_[chunk].filled) return from;
  for (++chunk; chunk < chunks_.size(); ++chunk)
    if (chunks_[chunk].filled > 0) return begin_of(chunk);
  return size_;
}

std::uint64_t FillFile::fetch_begin(std::uint64_t position) const {
  const std::scoped_lock lock(mutex_);
  const std::size_t chunk = index_of(position);
  return chunk < chunks_.size() ? begin_of(chunk) + chunks_[chunk].filled : size_;
}

std::uint64_t FillFile::readable_until(std::uint64_t from) const {
  const std::scoped_lock lock(mutex_);
  if (size_ == kUnknownSize) return from;
  std::uint64_t end = from;
  for (std::size_t chunk = std::max(index_of(from), from == 0 ? prefix_chunk_ : 0); chunk < body_chunks_;
       ++chunk) {
    end = std::max(end, begin_of(chunk) + chunks_[chunk].filled);
    if (!full(chunk)) return end;
  }
  return std::max(from, std::min(end, body_));
}

std::optional<std::uint64_t> FillFile::last_unreadable(std::uint64_t begin, std::uint64_t end) const {
  const std::scoped_lock lock(mutex_);
  if (begin >= end) return std::nullopt;
  if (size_ == kUnknownSize || end > body_) return end - 1;
  for (std::size_t chunk = index_of(end - 1);; --chunk) {
    const std::uint64_t filled_to = begin_of(chunk) + chunks_[chunk].filled;
    const std::uint64_t last = std::min(end, end_of(chunk));
    if (filled_to < last) return last - 1;
    if (begin_of(chunk) <= begin || chunk < prefix_chunk_) return std::nullopt;
  }
}

Result<std::size_t> FillFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::uint64_t body = 0;
  std::uint64_t whole = 0;
  {
    const std::scoped_lock lock(mutex_);
    body = body_;
    whole = size_;
  }
  std::size_t total = 0;
  if (offset < body) {
    const auto want = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), body - offset)));
    const auto got = read_some(part_.get(), want, offset);
    if (!got) return got;
    if (*got < want.size())
      return fail(Code::transient, "the file of a fill is shorter than what was written");
    total = *got;
  }
  if (total < out.size() && offset + total < whole) {
    const std::scoped_lock lock(mutex_);
    const std::size_t at = static_cast<std::size_t>(offset + total - body);
    const std::size_t count = std::min(out.size() - total, static_cast<std::size_t>(whole - body) - at);
    std::memcpy(out.data() + total, tail_.data() + at, count);
    total += count;
  }
  return total;
}

void FillFile::set_notify(std::function<void()> notify) {
  const std::scoped_lock lock(mutex_);
  notify_ = std::move(notify);
}

std::vector<Range> FillFile::take_progress() {
  const std::scoped_lock lock(mutex_);
  notified_ = false;
  return std::exchange(progress_, {});
}

void FillFile::attach(Page* page) {
  const std::scoped_lock lock(mutex_);
  page_ = page;
  if (page_ == nullptr) return;
  page_->total.store(size_, std::memory_order_release);
  publish();
}

}  // namespace otagate::cache
