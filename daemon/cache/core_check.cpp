// Core, the part that keeps what is cached whole: verification, quarantine, scrub, reconcile.
#include <stdio.h>

#include <set>
#include <utility>

#include "cache/core.hpp"
#include "core/clock.hpp"
#include "core/log.hpp"

namespace otagate::cache {

namespace {
constexpr std::chrono::seconds kSweepEvery{1};
constexpr std::size_t kMostQuarantined = 8;
}  // namespace

void Core::verify(const Digest& digest, const Cache::DoneCallback& done) {
  const bool posted = main_->post([self = shared_from_this(), digest, done] {
    if (!self->index_.has(digest) && !self->adopt_if_on_disk(digest))
      return done(fail(Code::not_found, "blob " + digest.hex() + " is not cached"));
    self->start_verification(digest, 0, done);
  });
  if (!posted) done(fail(Code::cancelled, "the cache has stopped"));
}

// `done` may be null.
void Core::start_verification(const Digest& digest, std::uint64_t pace, Cache::DoneCallback done) {
  if (stopping_) {
    if (done) done(fail(Code::cancelled, "the cache is stopping"));
    return;
  }
  auto& job = jobs_[digest];
  if (job) {
    if (done) job->waiting().push_back(std::move(done));
    if (pace == 0) job->hurry();
    return;
  }
  const auto record = index_.find(digest);
  if (!record) {
    jobs_.erase(digest);
    if (done) done(fail(Code::not_found, "blob " + digest.hex() + " is not cached"));
    return;
  }
  index_.hold(digest, true);
  job = std::make_shared<VerifyJob>(
      main_, hash_, digest, record->size, layout_.blob(digest), pace,
      [weak = weak_from_this()](const Digest& which, const VerifyJob::Outcome& outcome) {
        if (const auto self = weak.lock()) self->verification_ended(which, outcome);
      });
  if (done) job->waiting().push_back(std::move(done));
  job->start();
}

void Core::verification_ended(const Digest& digest, const VerifyJob::Outcome& outcome) {
  using Kind = VerifyJob::Outcome::Kind;
  const auto node = jobs_.extract(digest);
  index_.hold(digest, false);
  const bool scrubbed = scrubbing_ == digest;
  if (scrubbed) scrubbing_.reset();
  Result<void> result;
  switch (outcome.kind) {
    case Kind::good: {
      counters_.scrubbed += scrubbed ? 1 : 0;
      const auto verified = index_.mark_verified(digest, outcome.identity, trusted_wall_ms());
      if (!verified) break;
      if (verified->was_journaled) {
        host_.journal->blob_verified(verified->record);
        emit({Event::Kind::blob_verified, {}, digest, Code::ok, scrubbed ? "scrub" : "hashed again"});
      } else {
        host_.journal->blob_added(verified->record, std::nullopt, [digest](const Result<void>& done) {
          if (!done) log("cache").error("journal of blob {}: {}", digest.hex(), done.error().message());
        });
        emit({Event::Kind::blob_adopted, {}, digest, Code::ok, "found on disk, its hash is right"});
      }
      if (verified->feed && verified->feed->state() == PageState::filling)
        verified->feed->complete(digest, verified->record.size);
      break;
    }
    case Kind::bad:
      quarantine(digest, outcome.reason);
      result = fail(Code::rejected, "blob " + digest.hex() + " was bad: " + outcome.reason);
      break;
    case Kind::gone:
      if (const auto feed = index_.erase(digest))
        feed->fail(Error(Code::rejected, "the cached file has been removed"));
      host_.journal->blob_removed(digest, "its file is gone", [](const Result<void>&) {});
      emit({Event::Kind::blob_lost, {}, digest, Code::not_found, outcome.reason});
      result = fail(Code::not_found, "blob " + digest.hex() + ": " + outcome.reason);
      break;
    case Kind::unknown: result = fail(Code::transient, outcome.reason); break;
  }
  if (node.empty()) return;
  for (auto& done : std::exchange(node.mapped()->waiting(), {})) done(result);
}

void Core::quarantine(const Digest& digest, const std::string& reason) {
  const auto record = index_.find(digest);
  if (!record) return;
  log("cache").error("blob {} is damaged: {}", digest.hex(), reason);
  if (const auto feed = index_.erase(digest)) {
    feed->set_digest(digest);
    note_rejected(*feed, nullptr);
    feed->fail(Error(Code::rejected, "the cached blob is damaged: " + reason));
  }
  counters_.quarantined++;
  host_.journal->blob_quarantined(digest, reason);
  emit({Event::Kind::blob_quarantined, {}, digest, Code::rejected, reason});
  // Before any commit of a refetch: same thread, in order. Until then the file must not be adopted.
  leaving_.insert(digest);
  disk_.post([self = shared_from_this(), digest] {
    const auto from = self->layout_.blob(digest);
    for (int n = 0; n < 1000; ++n) {
      const auto to = self->layout_.quarantine() / (digest.hex() + "." + std::to_string(n));
      if (std::error_code error; std::filesystem::exists(to, error)) continue;
      if (::rename(from.c_str(), to.c_str()) != 0) (void)remove_file(from);
      break;
    }
    prune_quarantine(self->layout_, kMostQuarantined);
    self->main_->post([self, digest] { self->leaving_.erase(digest); });
  });
}

// Closes idle blobs and looks whether one changed under its readers, while any is open.
void Core::arm_sweep() {
  main_->after(kSweepEvery, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->stopping_) return;
    for (const Digest& digest : self->index_.sweep())
      self->quarantine(digest, "the file changed while it was open");
    self->sweep_armed_ = false;
    if (self->index_.any_open() && !self->sweep_armed_.exchange(true)) self->arm_sweep();
  });
}

void Core::maintain() {
  if (stopping_) return;
  main_->after(maintenance_period_, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->maintain();
  });
  if (const auto used = index_.take_used(trusted_wall_ms()); !used.empty()) host_.journal->blobs_used(used);
  expire();
  make_room(0, [](const Result<void>&) {});
  if (limits_.scrub_bytes_per_second == 0 || scrubbing_) return;
  const auto due = index_.due_for_scrub(limits_.scrub_interval, trusted_wall_ms());
  if (!due) return;
  scrubbing_ = due;
  start_verification(*due, limits_.scrub_bytes_per_second, nullptr);
}

void Core::reconcile(const Cache::DoneCallback& done) {
  const bool posted = main_->post([self = shared_from_this(), done] {
    const auto answer = self->tracked(done);
    self->disk_.post([self, answer] {
      prune_quarantine(self->layout_, kMostQuarantined);
      self->main_->post(
          [self, answer, scan = scan_disk(self->layout_)] { self->compare_with_disk(scan, answer); });
    });
  });
  if (!posted) done(fail(Code::cancelled, "the cache has stopped"));
}

void Core::compare_with_disk(const DiskScan& scan, const Cache::DoneCallback& done) {
  for (const BlobRecord& known : index_.list()) {
    if (scan.blobs.contains(known.digest)) continue;
    if (std::filesystem::exists(layout_.blob(known.digest))) continue;  // arrived after the scan
    if (const auto feed = index_.erase(known.digest))
      feed->fail(Error(Code::rejected, "the cached file has been removed"));
    host_.journal->blob_removed(known.digest, "its file is gone", [](const Result<void>&) {});
    emit({Event::Kind::blob_lost, {}, known.digest, Code::not_found, "its file is gone"});
  }
  std::set<std::string> running;
  for (const auto& [key, fill] : fills_) running.insert(fill->id());
  for (const auto& [id, bytes] : scan.fills)
    if (!running.contains(id)) idle_partials_[id] = bytes;
  auto strays = scan.strays;
  std::set<Digest> taken;
  for (const auto& [id, digest] : scan.sealed) {
    if (running.contains(id)) continue;
    if (take_back(id)) {
      const auto blob = scan.blobs.find(digest);
      idle_partials_[id] = blob == scan.blobs.end() ? 0 : blob->second.size;
      taken.insert(digest);
    } else {
      strays.insert(strays.end(), {layout_.map(id), layout_.durable_map(id)});
    }
  }
  auto unknown = std::make_shared<std::deque<Digest>>();
  for (const auto& [digest, identity] : scan.blobs)
    if (!index_.has(digest) && !taken.contains(digest)) unknown->push_back(digest);
  std::erase_if(strays, [&](const auto& path) { return running.contains(path.stem().string()); });
  hash_.post([strays = std::move(strays)] {
    for (const auto& path : strays)
      if (remove_file(path)) log("cache").info("removed stray file {}", path.string());
  });
  adopt_next(unknown, done);
}

// One after another: adopting is not urgent, and who needs one of them opens it.
void Core::adopt_next(const std::shared_ptr<std::deque<Digest>>& rest, const Cache::DoneCallback& done) {
  while (!rest->empty()) {
    const Digest digest = rest->front();
    rest->pop_front();
    if (index_.has(digest) || !adopt_if_on_disk(digest)) continue;
    return start_verification(digest, 0, [this, rest, done](const Result<void>&) { adopt_next(rest, done); });
  }
  done({});
}

}  // namespace otagate::cache
