// Core, the part that puts blobs in place and makes room for them.
#include <algorithm>
#include <utility>

#include "cache/core.hpp"
#include "core/log.hpp"

namespace otagate::cache {

void Core::store(const std::shared_ptr<Fill>& fill, const Digest& digest, VerifyLevel level) {
  if (index_.evicting(digest)) {
    after_eviction_[digest].push_back([this, fill, digest, level] { store(fill, digest, level); });
    return;
  }
  if (index_.unverified(digest)) {  // what is there may be good, or in the way
    start_verification(digest, 0,
                       [this, fill, digest, level](const Result<void>&) { store(fill, digest, level); });
    return;
  }
  const bool had = index_.has(digest);
  if (had) index_.hold(digest, true);  // this fill's copy goes: the other one must stay
  const auto destination = had ? std::filesystem::path() : layout_.blob(digest);
  disk_.post([self = shared_from_this(), fill, digest, level, had, destination] {
    auto identity = fill->file()->commit(digest, destination);
    self->main_->post([self, fill, digest, level, had, identity = std::move(identity)] {
      self->stored(fill, digest, level, had, identity);
    });
  });
}

void Core::stored(const std::shared_ptr<Fill>& fill, const Digest& digest, VerifyLevel level, bool had,
                  Result<FileIdentity> identity) {
  if (had) index_.hold(digest, false);
  if (!identity) return fill->end(identity.error().with_context("storing the blob"), false);
  BlobRecord record;
  record.digest = digest;
  record.size = identity->size;
  record.identity = *identity;
  record.level = level;
  record.verified_ms = trusted_wall_ms();
  if (had) {
    if (const auto old = index_.find(digest)) record = *old;
    record.level = std::max(record.level, level);
  }
  // Journaled, then announced. Without a journal the blob is as good: reconcile adopts it.
  host_.journal->blob_added(
      record, fill->key(), [weak = weak_from_this(), fill, record, had](Result<void> done) {
        const auto self = weak.lock();
        if (!self) return;
        self->main_->post([self, fill, record, had, done = std::move(done)] {
          if (!done)
            log("cache").error("journal of blob {}: {}", record.digest.hex(), done.error().message());
          // On the thread that opens fills, so that it cannot hit a next fill of the same object.
          if (done || had) self->hash_.post([file = fill->file()] { file->discard(); });
          fill->release_tail(record.digest);
          // The copy that was there may have been found bad meanwhile, then the next open fetches again. A
          // fill that was ended meanwhile has failed its feed.
          const auto feed = fill->feed();
          const bool good = feed->state() == PageState::verified;
          if (!had || self->index_.has(record.digest))
            self->index_.add(record, had || !good ? nullptr : feed, !had && !good, done.has_value());
          fill->announce(record.digest, record.level);
          if (!self->sweep_armed_.exchange(true)) self->arm_sweep();
          self->make_room(0, [](const Result<void>&) {});
        });
      });
}

// One request at a time: victims of one must not count for the next.
void Core::make_room(std::uint64_t bytes, Cache::DoneCallback done) {
  room_requests_.push_back({bytes, std::move(done)});
  if (!making_room_) serve_room_requests();
}

void Core::serve_room_requests() {
  while (!making_room_ && !room_requests_.empty()) {
    RoomRequest request = std::move(room_requests_.front());
    room_requests_.pop_front();
    auto victims = choose_victims(request.bytes);
    if (!victims) {
      request.done(fail(victims.error()));
      continue;
    }
    if (victims->empty()) {
      request.done({});
      continue;
    }
    making_room_ = true;
    struct Round {
      std::size_t left;
      Result<void> result;
      Cache::DoneCallback done;
    };
    auto round = std::make_shared<Round>(Round{victims->size(), {}, std::move(request.done)});
    for (const BlobRecord& victim : *victims)
      evict_blob(victim.digest, "to make room", [this, round](const Result<void>& gone) {
        if (!gone && gone.error().code() != Code::not_found) round->result = gone;
        if (--round->left > 0) return;
        making_room_ = false;
        round->done(round->result);
        serve_room_requests();
      });
  }
}

Result<std::vector<BlobRecord>> Core::choose_victims(std::uint64_t bytes) {
  std::uint64_t missing = 0;
  std::uint64_t used = index_.bytes();
  for (const auto& [id, size] : idle_partials_) used += size;
  for (const auto& [key, fill] : fills_) used += fill->reserved();
  if (limits_.max_size != 0 && bytes > limits_.max_size)
    return fail(Code::no_space, "an object of " + std::to_string(bytes) +
                                    " bytes is larger than the cache may be (max_size " +
                                    std::to_string(limits_.max_size) + ")");
  if (limits_.max_size != 0 && used + bytes > limits_.max_size) missing = used + bytes - limits_.max_size;
  const auto space = environment_.space(layout_.root());
  if (!space) return fail(space.error());
  const std::uint64_t floor = std::min(
      std::max(limits_.free_floor_bytes, space->total / 100 * limits_.free_floor_percent), space->total / 4);
  if (space->available < floor + bytes) missing = std::max(missing, floor + bytes - space->available);
  if (missing == 0) return std::vector<BlobRecord>{};

  const auto candidates = index_.evictable();
  std::vector<BlobRecord> victims;
  std::uint64_t freed = 0;
  std::uint64_t partials = 0;
  for (const auto& [id, size] : idle_partials_) partials += size;
  for (const BlobRecord& candidate : candidates) {
    if (freed + partials >= missing) break;
    victims.push_back(candidate);
    freed += candidate.size;
  }
  // Emptying the cache for a fill that would not fit even then helps nobody.
  if (freed + partials < missing && bytes > 0)
    return fail(Code::no_space, "the disk of " + layout_.root().string() + " lacks " +
                                    std::to_string(missing - freed - partials) +
                                    " bytes for this object (free: " + std::to_string(space->available) +
                                    ", kept free: " + std::to_string(floor) +
                                    "); free space, unpin firmware or raise max_size");
  drop_idle_partials(missing);
  return victims;
}

// Fills nobody runs serve nobody: they go before blobs do. Removed on the thread that opens fills.
void Core::drop_idle_partials(std::uint64_t missing) {
  std::uint64_t dropped = 0;
  while (dropped < missing && !idle_partials_.empty()) {
    const auto first = idle_partials_.begin();
    dropped += first->second;
    hash_.post([self = shared_from_this(), id = first->first] {
      (void)remove_file(self->layout_.part(id));
      (void)remove_file(self->layout_.map(id));
      (void)remove_file(self->layout_.durable_map(id));
    });
    idle_partials_.erase(first);
  }
}

void Core::evict(const Digest& digest, const Cache::DoneCallback& done) {
  const bool posted = main_->post([self = shared_from_this(), digest, done] {
    self->evict_blob(digest, "asked for", self->tracked(done));
  });
  if (!posted) done(fail(Code::cancelled, "the cache has stopped"));
}

// The journal forgets it, then the file goes: a crash in between leaves a file that is adopted or swept up,
// never a record without a file.
void Core::evict_blob(const Digest& digest, const std::string& reason, const Cache::DoneCallback& done) {
  if (auto begun = index_.begin_eviction(digest); !begun) return done(begun);
  host_.journal->blob_removed(digest, reason,
                              [weak = weak_from_this(), digest, reason, done](Result<void> told) {
                                const auto self = weak.lock();
                                if (!self) return;
                                self->main_->post([self, digest, reason, done, told = std::move(told)] {
                                  if (!told) {
                                    self->index_.cancel_eviction(digest);
                                    return self->evicted(digest, told, done);
                                  }
                                  self->disk_.post([self, digest, reason, done] {
                                    // A file that stays is swept up or adopted again by reconcile.
                                    const auto removed = remove_file(self->layout_.blob(digest));
                                    if (!removed) log("cache").warn("{}", removed.error().message());
                                    self->main_->post([self, digest, reason, done] {
                                      self->index_.erase(digest);
                                      self->counters_.evicted++;
                                      self->emit({Event::Kind::blob_evicted, {}, digest, Code::ok, reason});
                                      self->evicted(digest, {}, done);
                                    });
                                  });
                                });
                              });
}

void Core::evicted(const Digest& digest, const Result<void>& result, const Cache::DoneCallback& done) {
  if (auto waiting = after_eviction_.extract(digest); !waiting.empty())
    for (const auto& next : waiting.mapped()) next();
  done(result);
}

// Age: only by a clock that is to be trusted, only what its store could still deliver.
void Core::expire() {
  const std::int64_t now_ms = trusted_wall_ms();
  if (limits_.ttl.count() <= 0 || now_ms == 0) return;
  const std::int64_t ttl_ms = std::chrono::milliseconds(limits_.ttl).count();
  for (const BlobRecord& blob : index_.evictable()) {
    if (blob.last_used_ms == 0 || now_ms - blob.last_used_ms < ttl_ms) continue;
    if (host_.gate != nullptr && !host_.gate->may_expire(blob.digest)) continue;
    evict_blob(blob.digest, "not used for longer than the ttl", [](const Result<void>&) {});
  }
}

}  // namespace otagate::cache
