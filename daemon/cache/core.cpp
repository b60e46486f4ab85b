#include "cache/core.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <future>
#include <utility>

#include "core/clock.hpp"
#include "core/log.hpp"

namespace otagate::cache {

namespace {

Result<Environment::Space> file_system_space(const std::filesystem::path& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0)
    return fail(errno_error("asking for the free space of " + path.string(), errno));
  return Environment::Space{std::uint64_t{info.f_blocks} * info.f_frsize,
                            std::uint64_t{info.f_bavail} * info.f_frsize};
}

Environment with_defaults(Environment environment) {
  if (!environment.space) environment.space = file_system_space;
  if (!environment.wall_ms) environment.wall_ms = wall_ms;
  if (!environment.clock_synchronised) environment.clock_synchronised = clock_synchronised;
  if (environment.boot_id.empty()) environment.boot_id = kernel_boot_id();
  return environment;
}

}  // namespace

Core::Core(Cache::Options options, Host host, UniqueFd lock, std::shared_ptr<PageTable> pages,
           bool stopped_uncleanly)
    : layout_(options.root),
      host_(host),
      retry_(options.retry),
      environment_(with_defaults(std::move(options.environment))),
      boot_id_(environment_.boot_id),
      maintenance_period_(options.maintenance_period),
      lock_(std::move(lock)),
      pages_(std::move(pages)),
      main_(std::make_shared<Loop>("cache")),
      hash_("cache-hash"),
      disk_("cache-disk"),
      index_(layout_, main_, pages_),
      limits_(options.limits) {
  for (const BlobRecord& blob : options.known) index_.add(blob, nullptr, stopped_uncleanly, true);
}

Core::~Core() { stop(); }

void Core::start() {
  // The marker of an unclean stop, made durable without keeping the start waiting for the disk.
  disk_.post([self = shared_from_this()] {
    if (const auto synced = sync_folder(self->layout_.root()); !synced)
      log("cache").warn("{}", synced.error().message());
  });
  main_->post([self = shared_from_this()] {
    self->main_->after(self->maintenance_period_, [weak = self->weak_from_this()] {
      if (const auto core = weak.lock()) core->maintain();
    });
  });
}

void Core::stop() {
  const std::scoped_lock lock(stop_mutex_);
  if (std::exchange(stop_done_, true)) return;
  std::promise<void> ended;
  main_->post([this, &ended] {
    stopping_ = true;
    const Error why(Code::cancelled, "the cache is stopping");
    for (const auto& request : std::exchange(room_requests_, {})) request.done(fail(why));
    for (const auto& [key, fill] : std::map(fills_)) fill->end(why, false);
    for (const auto& feed : index_.unverified_feeds()) feed->fail(why);
    for (auto& [digest, job] : jobs_)
      for (auto& done : std::exchange(job->waiting(), {})) done(fail(why));
    for (const auto& [number, done] : std::exchange(pending_, {})) done(fail(why));
    if (const auto used = index_.take_used(trusted_wall_ms()); !used.empty()) host_.journal->blobs_used(used);
    ended.set_value();
  });
  ended.get_future().wait();
  hash_.stop();
  disk_.stop();
  main_->stop();
  fills_by_digest_.clear();
  jobs_.clear();
  links_.clear();
  // Whatever is cached was verified or will be at its next use: index and disk agree.
  if (remove_file(layout_.running_marker())) (void)sync_folder(layout_.root());
}

void Core::emit(const Event& event) { host_.events->event(event); }

std::uint64_t Core::peer_hash(std::string_view peer) {
  return peer.empty() ? 0 : std::hash<std::string_view>{}(peer) | 1;
}

std::int64_t Core::trusted_wall_ms() const {
  return environment_.clock_synchronised() ? environment_.wall_ms() : 0;
}

// Completed by the caller as usual, or with cancelled if the cache stops first.
Cache::DoneCallback Core::tracked(Cache::DoneCallback done) {
  const std::uint64_t number = ++last_pending_;
  pending_[number] = std::move(done);
  return [this, number](const Result<void>& result) {
    const auto node = pending_.extract(number);
    if (!node.empty()) node.mapped()(result);
  };
}

void Core::report_bad(const ReaderPtr& reader, const Error& why) {
  main_->post([self = shared_from_this(), reader, why] {
    const auto digest = reader->digest();
    const auto& feed = reader->feed();
    if (feed->state() == PageState::failed) return;
    for (const auto& [key, fill] : std::map(self->fills_))
      if (fill->feed() == feed) {
        self->note_rejected(*feed, &key);
        return fill->end(Error(Code::transient, why.message()), true);
      }
    if (digest && self->index_.has(*digest)) self->quarantine(*digest, why.message());
    feed->fail(Error(Code::rejected, why.message()));  // one that is not in the index
  });
}

void Core::cancel_fill(const FillKey& key, bool discard, const Cache::DoneCallback& done) {
  const bool posted = main_->post([self = shared_from_this(), key, discard, done] {
    const auto found = self->fills_.find(key);
    if (found == self->fills_.end()) return done(fail(Code::not_found, "no such fill is in progress"));
    if (found->second->storing())
      return done(fail(Code::busy, "the fill is complete and being stored; evict the blob instead"));
    found->second->end(Error(Code::cancelled, "the fill was cancelled"), discard);
    done({});
  });
  if (!posted) done(fail(Code::cancelled, "the cache has stopped"));
}

void Core::set_limits(const Limits& limits) {
  main_->post([self = shared_from_this(), limits] {
    self->limits_ = limits;
    self->start_queued_fills();
    self->make_room(0, [](const Result<void>&) {});
  });
}

void Core::set_rate_limit(std::string store, std::uint64_t bytes_per_second) {
  main_->post([self = shared_from_this(), store = std::move(store), bytes_per_second] {
    self->link(store)->limiter().set_rate(bytes_per_second);
  });
}

void Core::retry_now(std::string store) {
  main_->post([self = shared_from_this(), store = std::move(store)] {
    for (const auto& [name, link] : self->links_)
      if (store.empty() || name == store) link->reset();
    for (const auto& [key, fill] : std::map(self->fills_))
      if (store.empty() || key.store == store) fill->retry_now();
  });
}

std::vector<FillInfo> Core::fills() {
  std::vector<FillInfo> infos;
  const auto collect = [this, &infos] {
    for (const auto& [key, fill] : fills_) infos.push_back(fill->info());
  };
  if (main_->in_thread()) {
    collect();
    return infos;
  }
  std::promise<void> collected;
  if (main_->post([&] {
        collect();
        collected.set_value();
      }))
    collected.get_future().wait();
  return infos;
}

Stats Core::stats() {
  Stats stats;
  stats.blobs = index_.count();
  stats.blob_bytes = index_.bytes();
  stats.readers = index_.readers();
  const auto infos = fills();
  stats.fills = infos.size();
  for (const FillInfo& info : infos) {
    stats.partial_bytes += info.present;
    stats.readers += info.readers;
  }
  stats.hits = counters_.hits;
  stats.misses = counters_.misses;
  stats.coalesced = counters_.coalesced;
  stats.fetched_bytes = counters_.fetched_bytes;
  stats.fetches = counters_.fetches;
  stats.fetch_failures = counters_.fetch_failures;
  stats.fills_completed = counters_.fills_completed;
  stats.fills_failed = counters_.fills_failed;
  stats.fills_rejected = counters_.fills_rejected;
  stats.chunks_refetched = counters_.chunks_refetched;
  stats.evicted = counters_.evicted;
  stats.quarantined = counters_.quarantined;
  stats.scrubbed = counters_.scrubbed;
  stats.loop_lag_us = main_->lag_us();
  return stats;
}

}  // namespace otagate::cache
