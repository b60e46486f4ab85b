#include "cache/fill.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "cache/core.hpp"
#include "core/log.hpp"

namespace otagate::cache {

namespace {
constexpr std::chrono::milliseconds kRateWindow{50};
}

Fill::Fill(Core& core, const OpenRequest& request, std::shared_ptr<Source> source, std::shared_ptr<Link> link)
    : core_(core),
      key_(request.key),
      id_(request.key.id()),
      prefetch_(request.prefetch),
      source_(std::move(source)),
      caps_(source_->caps()),
      verifier_(request.verifier),
      link_(std::move(link)) {}

std::uint64_t Fill::reserved() const {
  if (!file_ || state_ == State::ended) return 0;
  const std::uint64_t size = file_->size();
  return size == kUnknownSize ? file_->present() : size;
}

void Fill::join(const OpenRequest& request, Cache::OpenCallback callback) {
  prefetch_ = prefetch_ && request.prefetch;
  const std::uint64_t peer = Core::peer_hash(request.peer);
  if (request.streaming && feed_) {
    if (peer != 0) feed_->add_peer(peer);
    callback(std::make_shared<Reader>(feed_));
  } else {
    const std::uint64_t number = ++last_waiting_;
    Waiting& waiting = waiting_[number];
    waiting = {request.streaming, peer, std::move(callback), 0};
    if (request.timeout.count() > 0)
      waiting.timer = core_.main().after(request.timeout, [weak = weak_from_this(), number] {
        const auto self = weak.lock();
        if (!self) return;
        auto node = self->waiting_.extract(number);
        if (!node.empty()) node.mapped().callback(fail(Code::deadline, "the blob was not there in time"));
      });
  }
  // Somebody new is waiting: worth a try before the back-off is over, at the pace of a first retry.
  if (state_ == State::fetching && Clock::now() >= last_attempt_ + core_.retry().first) {
    back_off_until_ = {};
    schedule();
  }
}

void Fill::start() {
  state_ = State::starting;
  (void)core_.take_back(id_);
  std::uint64_t needed = caps_.size.value_or(0);
  struct stat part {};
  if (::stat(core_.layout().part(id_).c_str(), &part) == 0)
    needed -= std::min(needed, static_cast<std::uint64_t>(part.st_blocks) * 512);
  core_.make_room(needed, [self = shared_from_this()](const Result<void>& room) {
    if (self->state_ == State::ended) return;
    if (!room) return self->end(room.error(), false);
    self->core_.hash().post([self, size = self->caps_.size.value_or(kUnknownSize)] {
      auto file = FillFile::open(self->core_.layout(), self->key_, size, self->core_.boot_id());
      self->core_.main().post([self, file = std::move(file)] { self->opened(file); });
    });
  });
}

void Fill::opened(Result<std::shared_ptr<FillFile>> file) {
  if (state_ == State::ended) return;
  if (!file) return end(file.error(), false);
  file_ = std::move(*file);
  file_->set_notify([weak = weak_from_this(), main = core_.main_ptr()] {
    main->post([weak] {
      if (const auto self = weak.lock()) self->on_progress();
    });
  });
  if (auto made = make_feed(); !made) return end(made.error(), false);
  core_.journal().fill_started(key_, id_, file_->size());
  core_.emit({Event::Kind::fill_started, key_, key_.expected, Code::ok, {}});
  state_ = State::checking;
  serve(false);
  check();
}

Result<void> Fill::make_feed() {
  auto fd = file_->open_read_only();
  if (!fd) return fail(fd.error());
  const auto slot = core_.page_table()->take();
  if (!slot) return fail(Code::busy, "more blobs are open than the cache has pages for");
  feed_ = std::make_shared<Feed>(core_.main_ptr(), std::move(*fd), PageSlot(core_.page_table(), *slot), file_,
                                 file_->size(), 0);
  if (key_.expected) feed_->set_digest(*key_.expected);
  file_->attach(&feed_->page());
  feed_->set_on_want([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->schedule();
  });
  return {};
}

// Gives a reader to those who want to follow the fill, or to all once it is verified.
void Fill::serve(bool verified) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (!verified && !at->second.streaming) {
      ++at;
      continue;
    }
    const Waiting waiting = std::move(at->second);
    at = waiting_.erase(at);
    if (waiting.timer != 0) core_.main().cancel(waiting.timer);
    if (waiting.peer != 0) feed_->add_peer(waiting.peer);
    waiting.callback(std::make_shared<Reader>(feed_));
  }
}

void Fill::fail_waiting(const Error& error) {
  for (auto& [number, waiting] : std::exchange(waiting_, {})) {
    if (waiting.timer != 0) core_.main().cancel(waiting.timer);
    waiting.callback(fail(error));
  }
}

// What an earlier run left counts chunk by chunk as it is found good.
void Fill::check() {
  core_.hash().post([self = shared_from_this()] {
    const bool done = self->file_->check_step();
    self->core_.main().post([self, done] {
      if (self->state_ != State::checking) return;
      self->feed_->advance(self->file_->take_progress());
      if (!done) return self->check();
      self->state_ = State::fetching;
      self->pump_hash();
      self->schedule();
    });
  });
}

void Fill::on_progress() {
  if (state_ == State::ended || !file_) return;
  feed_->advance(file_->take_progress());
  measure();
  sync_if_due();
  pump_hash();
  schedule();
}

void Fill::measure() {
  const Clock::time_point now = Clock::now();
  std::uint64_t total = fetched_;
  for (auto& [number, fetch] : fetches_) {
    total += fetch.sink->received();
    if (fetch.answered) continue;
    if (const auto first = fetch.sink->first_byte()) {
      fetch.answered = true;
      link_->answered_after(*first - fetch.started);
      link_->succeeded();
    }
  }
  if (!window_) {
    window_ = now;
    window_bytes_ = total;
  } else if (now - *window_ >= kRateWindow) {
    link_->measured(total - window_bytes_, now - *window_);
    window_ = now;
    window_bytes_ = total;
  }
}

void Fill::sync_if_due() {
  if (syncing_ || file_->unsynced() < FillFile::kSyncEvery) return;
  sync();
  // An object without size grows as it likes: what comes until the next look must fit.
  if (!caps_.size && file_->size() == kUnknownSize)
    core_.make_room(FillFile::kSyncEvery, [self = shared_from_this()](const Result<void>& room) {
      if (!room && self->state_ != State::ended) self->end(room.error(), true);
    });
}

void Fill::sync() {
  if (!file_ || state_ == State::ended) return;
  syncing_ = true;
  core_.disk().post([self = shared_from_this()] {
    const auto synced = self->file_->sync();
    if (!synced) log("cache").warn("fill {}: {}", self->id_, synced.error().message());
    self->core_.main().post([self] {
      self->syncing_ = false;
      if (self->state_ != State::ended) self->sync_if_due();
    });
  });
}

void Fill::pump_hash() {
  if (hashing_ || state_ == State::ended || state_ == State::storing) return;
  hashing_ = true;
  core_.hash().post([self = shared_from_this()] {
    const FillFile::Step step = self->file_->hash_step();
    self->core_.main().post([self, step] { self->on_hashed(step); });
  });
}

void Fill::on_hashed(FillFile::Step step) {
  hashing_ = false;
  if (state_ == State::ended) return;
  if (step.bad) return on_bad_chunk(*step.bad);
  // What came since that step had nothing left to do is hashed by another one.
  if (!step.done || (state_ == State::verifying && !file_->all_hashed())) return pump_hash();
  if (state_ == State::verifying) close_hash();
}

// The file gave back other bytes than were written, so readers may have had them.
void Fill::on_bad_chunk(std::size_t chunk) {
  constexpr std::uint32_t kMostBadChunks = 16;
  const Error why(Code::rejected, "the disk gave back other bytes than were written to chunk " +
                                      std::to_string(chunk) + " of fill " + id_);
  log("cache").error("{}", why.message());
  core_.counters().chunks_refetched++;
  core_.emit({Event::Kind::chunk_refetched, key_, key_.expected, Code::rejected, why.message()});
  if (++bad_chunks_ > kMostBadChunks)
    return end(Error(Code::permanent, why.message() + ", again and again: check the disk"), true);
  if (feed_->readers() > 0 || !feed_->peers().empty()) {
    const auto old = feed_;
    core_.note_rejected(*old, &key_);
    file_->attach(nullptr);
    old->set_on_want({});
    old->fail(why);
    file_->invalidate(chunk);
    if (auto made = make_feed(); !made) return end(made.error(), false);
  } else {
    file_->invalidate(chunk);
  }
  if (state_ == State::verifying) state_ = State::fetching;
  schedule();
}

// All bytes are there and hashed on the way in. A byte may have changed behind the hash: compare all
// chunks once more, then judge.
void Fill::close_hash() {
  hashing_ = true;
  core_.hash().post([self = shared_from_this()] { closing(self, self->file_->finish_digest()); });
}

// On the hash thread.
void Fill::closing(const std::shared_ptr<Fill>& self, const Digest& digest) {
  const FillFile::Step step = self->file_->closing_step();
  if (step.bad) {
    self->core_.main().post([self, step] { self->on_hashed(step); });
    return;
  }
  if (!step.done) {
    self->core_.hash().post([self, digest] { closing(self, digest); });
    return;
  }
  Result<VerifyLevel> level = VerifyLevel::length;
  if (self->key_.expected) {
    level = VerifyLevel::digest;
    if (*self->key_.expected != digest)
      level = fail(Code::rejected,
                   "the bytes hash to " + digest.hex() + ", expected was " + self->key_.expected->hex());
  }
  if (level && self->verifier_) level = self->verifier_->verify(self->key_, digest, *level, *self->file_);
  self->core_.main().post([self, digest, level = std::move(level)] { self->on_verified(digest, level); });
}

void Fill::on_verified(const Digest& digest, Result<VerifyLevel> level) {
  hashing_ = false;
  if (state_ == State::ended) return;
  if (!level)
    return end(Error(Code::rejected, level.error().message()).with_context("verification failed"), true);
  state_ = State::storing;
  digest_ = digest;
  core_.store(shared_from_this(), digest, *level);
}

void Fill::release_tail(const Digest& digest) {
  if (state_ == State::ended) return;
  file_->close();
  file_->attach(nullptr);
  feed_->set_on_want({});
  feed_->publish(digest, file_->size());
}

void Fill::announce(const Digest& digest, VerifyLevel level) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  feed_->complete(digest, file_->size());
  serve(true);
  core_.counters().fills_completed++;
  core_.emit({Event::Kind::fill_completed, key_, digest, Code::ok, std::string(to_string(level))});
  core_.journal().fill_ended(key_, id_, Code::ok, {});
  core_.fill_ended(shared_from_this(), false);
}

void Fill::end(const Error& error, bool discard) {
  if (state_ == State::ended) return;
  const bool began = state_ != State::queued && file_ != nullptr;
  discard = discard || !caps_.size;  // without a size there is no way to go on with it
  if (began && !discard && error.code() == Code::cancelled) sync();
  const auto self = shared_from_this();
  state_ = State::ended;
  cancel_fetches();
  if (retry_timer_ != 0) core_.main().cancel(std::exchange(retry_timer_, 0));
  if (file_) {
    file_->close();
    file_->attach(nullptr);
    // On the thread that opens fills, so that it cannot hit a next fill of the same object.
    if (discard) core_.hash().post([file = file_] { file->discard(); });
  }
  if (feed_) {
    if (error.code() == Code::rejected) core_.note_rejected(*feed_, &key_);
    feed_->set_on_want({});
    feed_->fail(error);
  }
  fail_waiting(error);
  if (core_.stopping()) return core_.fill_ended(self, true);  // it is resumed
  Event::Kind kind = Event::Kind::fill_failed;
  if (error.code() == Code::rejected) kind = Event::Kind::fill_rejected;
  if (error.code() == Code::changed) kind = Event::Kind::fill_changed;
  if (error.code() == Code::no_space) kind = Event::Kind::no_space;
  (kind == Event::Kind::fill_rejected ? core_.counters().fills_rejected : core_.counters().fills_failed)++;
  core_.emit({kind, key_, key_.expected, error.code(), error.message()});
  if (began) core_.journal().fill_ended(key_, id_, error.code(), error.message());
  core_.fill_ended(self, !discard);
}

FillInfo Fill::info() const {
  FillInfo info;
  info.id = id_;
  info.key = key_;
  info.fetched = fetched_;
  for (const auto& [number, fetch] : fetches_) info.fetched += fetch.sink->received();
  info.bytes_per_second = link_->rate();
  info.waiters = static_cast<std::uint32_t>(waiting_.size());
  if (caps_.size) info.size = *caps_.size;
  if (file_) {
    info.size = file_->size();
    info.present = file_->present();
  }
  if (feed_) {
    info.ready = feed_->ready(0);
    info.readers = feed_->readers();
    info.waiters += static_cast<std::uint32_t>(feed_->waiters());
  }
  if (last_error_) info.last_error = last_error_->message();
  switch (state_) {
    case State::queued: info.state = "queued"; break;
    case State::starting:
    case State::checking: info.state = "checking"; break;
    case State::fetching: info.state = retry_timer_ != 0 && fetches_.empty() ? "waiting" : "fetching"; break;
    case State::verifying: info.state = "verifying"; break;
    case State::storing:
    case State::ended: info.state = "storing"; break;
  }
  return info;
}

}  // namespace otagate::cache
