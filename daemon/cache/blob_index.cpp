#include "cache/blob_index.hpp"

#include <fcntl.h>

#include <algorithm>

namespace otagate::cache {

namespace {
constexpr std::chrono::seconds kIdleOpen{10};
constexpr std::size_t kMaxIdleOpen = 256;
}  // namespace

BlobIndex::Opened BlobIndex::open(const Digest& digest, bool streaming, std::uint64_t peer) {
  using Kind = Opened::Kind;
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end() || found->second.evicting) return {};
  Entry& entry = found->second;
  if (!entry.feed) {
    auto fd = open_file(layout_.blob(digest), O_RDONLY);
    if (!fd) {
      // Without descriptors nothing is wrong with the blob.
      const bool gone = fd.error().code() == Code::not_found;
      return {gone ? Kind::bad : Kind::refused, nullptr, fd.error()};
    }
    const auto identity = identify(fd->get());
    if (!identity) return {Kind::bad, nullptr, identity.error()};
    if (identity->size != entry.record.size)
      return {Kind::bad, nullptr,
              Error(Code::rejected, "the file has " + std::to_string(identity->size) + " bytes instead of " +
                                        std::to_string(entry.record.size))};
    if (*identity != entry.record.identity) entry.unverified = true;
    const auto slot = pages_->take();
    if (!slot)
      return {Kind::refused, nullptr, Error(Code::busy, "more blobs are open than the cache has pages for")};
    const std::uint64_t size = entry.record.size;
    entry.feed = std::make_shared<Feed>(loop_, std::move(*fd), PageSlot(pages_, *slot), nullptr, size,
                                        size - std::min(size, kTailSize));
    if (entry.unverified)
      entry.feed->set_digest(digest);
    else
      entry.feed->complete(digest, size);
  } else if (!entry.unverified) {
    const auto identity = identify(entry.feed->fd());
    if (!identity || *identity != entry.record.identity)
      return {Kind::bad, nullptr, Error(Code::rejected, "the file changed while it was open")};
  }
  entry.record.last_used_seq = ++last_used_seq_;
  entry.used = true;
  entry.feed_used = Clock::now();
  if (entry.unverified && !streaming) return {Kind::verify, nullptr, std::nullopt};
  if (peer != 0) entry.feed->add_peer(peer);
  return {entry.unverified ? Kind::verify : Kind::ready, std::make_shared<Reader>(entry.feed), std::nullopt};
}

BlobRecord BlobIndex::add(const BlobRecord& record, std::shared_ptr<Feed> feed, bool unverified,
                          bool journaled) {
  const std::scoped_lock lock(mutex_);
  const auto [at, fresh] = entries_.try_emplace(record.digest);
  Entry& entry = at->second;
  if (fresh) {
    entry.record = record;
    entry.record.pins.clear();
    entry.feed = std::move(feed);
    entry.unverified = unverified;
    entry.journaled = journaled;
    entry.checked = entry.feed_used = Clock::now();
    bytes_ += record.size;
    if (entry.record.last_used_seq == 0) {
      entry.record.last_used_seq = ++last_used_seq_;
      entry.used = true;
    }
    last_used_seq_ = std::max(last_used_seq_, entry.record.last_used_seq);
  } else {
    entry.record.level = std::max(entry.record.level, record.level);
  }
  return entry.record;
}

std::optional<BlobIndex::Verified> BlobIndex::mark_verified(const Digest& digest,
                                                            const FileIdentity& identity,
                                                            std::int64_t wall_ms) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  entry.record.identity = identity;
  entry.record.verified_ms = wall_ms;
  // The name is the digest: whatever else was known, this much is.
  entry.record.level = std::max(entry.record.level, VerifyLevel::length);
  entry.unverified = false;
  entry.checked = Clock::now();
  return Verified{entry.record, std::exchange(entry.journaled, true), entry.feed};
}

std::shared_ptr<Feed> BlobIndex::erase(const Digest& digest) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return nullptr;
  std::shared_ptr<Feed> feed = std::move(found->second.feed);
  if (!found->second.evicting) bytes_ -= found->second.record.size;
  entries_.erase(found);
  return feed;
}

bool BlobIndex::free_to_go(const Digest& digest, const Entry& entry) const {
  return !entry.evicting && entry.held == 0 && (!entry.feed || entry.feed->readers() == 0) &&
         !pins_.contains(digest);
}

Result<void> BlobIndex::begin_eviction(const Digest& digest) {
  std::shared_ptr<Feed> closed;  // after the lock
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end() || found->second.evicting)
    return fail(Code::not_found, "blob " + digest.hex() + " is not cached");
  Entry& entry = found->second;
  if (!free_to_go(digest, entry)) {
    const char* who = pins_.contains(digest) ? "pinned" : entry.held != 0 ? "being verified" : "being read";
    return fail(Code::busy, "blob " + digest.hex() + " is " + who + "; unpin it or try again later");
  }
  entry.evicting = true;
  closed = std::move(entry.feed);
  bytes_ -= entry.record.size;
  return {};
}

void BlobIndex::cancel_eviction(const Digest& digest) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end() || !found->second.evicting) return;
  found->second.evicting = false;
  bytes_ += found->second.record.size;
}

bool BlobIndex::has(const Digest& digest) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  return found != entries_.end() && !found->second.evicting;
}

bool BlobIndex::evicting(const Digest& digest) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  return found != entries_.end() && found->second.evicting;
}

bool BlobIndex::unverified(const Digest& digest) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  return found != entries_.end() && found->second.unverified;
}

void BlobIndex::hold(const Digest& digest, bool held) {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return;
  if (held)
    ++found->second.held;
  else if (found->second.held > 0)
    --found->second.held;
}

void BlobIndex::pin(const Digest& digest, std::string_view owner) {
  const std::scoped_lock lock(mutex_);
  pins_[digest].emplace(owner);
}

void BlobIndex::unpin(const Digest& digest, std::string_view owner) {
  const std::scoped_lock lock(mutex_);
  const auto found = pins_.find(digest);
  if (found == pins_.end()) return;
  found->second.erase(std::string(owner));
  if (found->second.empty()) pins_.erase(found);
}

std::uint64_t BlobIndex::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

std::size_t BlobIndex::count() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

std::uint32_t BlobIndex::readers() const {
  const std::scoped_lock lock(mutex_);
  std::uint32_t total = 0;
  for (const auto& [digest, entry] : entries_)
    if (entry.feed) total += entry.feed->readers();
  return total;
}

BlobRecord BlobIndex::described(const Entry& entry, const std::map<Digest, std::set<std::string>>& pins) {
  BlobRecord record = entry.record;
  record.readers = entry.feed ? entry.feed->readers() : 0;
  record.needs_verification = entry.unverified;
  if (const auto found = pins.find(record.digest); found != pins.end())
    record.pins.assign(found->second.begin(), found->second.end());
  return record;
}

std::vector<BlobRecord> BlobIndex::list() const {
  const std::scoped_lock lock(mutex_);
  std::vector<BlobRecord> records;
  records.reserve(entries_.size());
  for (const auto& [digest, entry] : entries_)
    if (!entry.evicting) records.push_back(described(entry, pins_));
  std::ranges::sort(records, {}, &BlobRecord::digest);
  return records;
}

std::optional<BlobRecord> BlobIndex::find(const Digest& digest) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(digest);
  if (found == entries_.end() || found->second.evicting) return std::nullopt;
  return described(found->second, pins_);
}

std::vector<BlobRecord> BlobIndex::evictable() const {
  const std::scoped_lock lock(mutex_);
  std::vector<BlobRecord> records;
  for (const auto& [digest, entry] : entries_)
    if (free_to_go(digest, entry)) records.push_back(entry.record);
  std::ranges::sort(records, {}, &BlobRecord::last_used_seq);
  return records;
}

std::vector<BlobRecord> BlobIndex::take_used(std::int64_t now_ms) {
  const std::scoped_lock lock(mutex_);
  std::vector<BlobRecord> records;
  for (auto& [digest, entry] : entries_) {
    // A time of use that is not known starts counting once there is a clock to count with.
    const bool unknown = entry.record.last_used_ms == 0 && now_ms != 0;
    if (!entry.used && !unknown) continue;
    entry.used = false;
    entry.record.last_used_ms = now_ms;
    records.push_back(entry.record);
  }
  return records;
}

std::optional<Digest> BlobIndex::due_for_scrub(std::chrono::seconds interval, std::int64_t now_ms) const {
  const std::scoped_lock lock(mutex_);
  const Clock::time_point now = Clock::now();
  std::optional<Digest> oldest;
  Clock::duration oldest_age{};
  for (const auto& [digest, entry] : entries_) {
    if (entry.evicting || entry.held != 0) continue;
    // By the wall clock where it is to be trusted and the blob was hashed under it, else by this run's.
    Clock::duration age = now - entry.checked;
    if (now_ms != 0 && entry.record.verified_ms != 0 && now_ms >= entry.record.verified_ms)
      age = std::max<Clock::duration>(age, std::chrono::milliseconds(now_ms - entry.record.verified_ms));
    if (age < interval || (oldest && age <= oldest_age)) continue;
    oldest = digest;
    oldest_age = age;
  }
  return oldest;
}

std::vector<Digest> BlobIndex::sweep() {
  std::vector<std::shared_ptr<Feed>> closed;  // after the lock
  std::vector<Digest> changed;
  const std::scoped_lock lock(mutex_);
  const Clock::time_point now = Clock::now();
  std::size_t idle = 0;
  for (auto& [digest, entry] : entries_) {
    if (!entry.feed) continue;
    if (entry.feed->readers() == 0 && entry.held == 0 &&
        (now - entry.feed_used >= kIdleOpen || ++idle > kMaxIdleOpen)) {
      closed.push_back(std::move(entry.feed));
      continue;
    }
    if (entry.unverified) continue;
    const auto identity = identify(entry.feed->fd());
    if (!identity || *identity != entry.record.identity) changed.push_back(digest);
  }
  return changed;
}

bool BlobIndex::any_open() const {
  const std::scoped_lock lock(mutex_);
  return std::ranges::any_of(entries_, [](const auto& item) { return item.second.feed != nullptr; });
}

std::vector<std::shared_ptr<Feed>> BlobIndex::unverified_feeds() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<Feed>> feeds;
  for (const auto& [digest, entry] : entries_)
    if (entry.unverified && entry.feed) feeds.push_back(entry.feed);
  return feeds;
}

}  // namespace otagate::cache
