// Core, the part that answers open().
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cache/core.hpp"
#include "cache/fill_map.hpp"
#include "core/log.hpp"

namespace otagate::cache {

Result<ReaderPtr> Core::open_cached(const Digest& digest, bool streaming, std::uint64_t peer) {
  using Kind = BlobIndex::Opened::Kind;
  auto opened = index_.open(digest, streaming, peer);
  if (opened.kind == Kind::ready || opened.kind == Kind::verify)
    if (!sweep_armed_.exchange(true)) main_->post([self = shared_from_this()] { self->arm_sweep(); });
  switch (opened.kind) {
    case Kind::ready: counters_.hits++; return opened.reader;
    case Kind::verify:
      main_->post([self = shared_from_this(), digest] { self->start_verification(digest, 0, nullptr); });
      if (opened.reader) {
        counters_.hits++;
        return opened.reader;
      }
      return fail(Code::busy, "the blob is being verified again; try again in a moment");
    case Kind::bad:
      main_->post([self = shared_from_this(), digest, why = opened.error->message()] {
        self->quarantine(digest, why);
      });
      return fail(Code::not_found, "the cached blob is damaged");
    case Kind::refused: return fail(*opened.error);
    case Kind::missing: break;
  }
  return fail(Code::not_found, "the blob is not cached");
}

void Core::open(OpenRequest request, const Cache::OpenCallback& callback) {
  const auto digest = request.digest ? request.digest : request.key.expected;
  if (digest)
    if (auto reader = open_cached(*digest, request.streaming, peer_hash(request.peer)); reader)
      return callback(std::move(reader));
  auto shared = std::make_shared<OpenRequest>(std::move(request));
  const bool posted =
      main_->post([self = shared_from_this(), shared, callback] { self->open_on_loop(shared, callback); });
  if (!posted) callback(fail(Code::cancelled, "the cache has stopped"));
}

// True if the request has been dealt with.
bool Core::open_blob(const std::shared_ptr<OpenRequest>& request, const Digest& digest,
                     Cache::OpenCallback& callback) {
  if (!index_.has(digest) && !adopt_if_on_disk(digest)) return false;
  auto reader = open_cached(digest, request->streaming, peer_hash(request->peer));
  if (reader) {
    callback(std::move(reader));
    return true;
  }
  if (reader.error().code() == Code::not_found) {
    if (!index_.has(digest)) return false;
    // Damaged: quarantine() has been posted and comes before what is posted now.
    main_->post([self = shared_from_this(), request, callback] { self->open_on_loop(request, callback); });
    return true;
  }
  if (!index_.unverified(digest)) {
    callback(std::move(reader));
    return true;
  }
  // Good: it opens now. Bad: it is gone, and a fill starts.
  auto answer = std::make_shared<Cache::OpenCallback>(std::move(callback));
  auto timer = std::make_shared<TimerId>(0);
  if (request->timeout.count() > 0)
    *timer = main_->after(request->timeout, [answer] {
      if (*answer) std::exchange(*answer, nullptr)(fail(Code::deadline, "the blob was not verified in time"));
    });
  start_verification(digest, 0, [this, request, answer, timer](const Result<void>& result) {
    main_->cancel(*timer);
    if (!*answer) return;
    const auto last = std::exchange(*answer, nullptr);
    if (!result && result.error().code() == Code::cancelled) return last(fail(result.error()));
    open_on_loop(request, last);
  });
  return true;
}

// A blob that the journal has lost (a restored database) need not wait for reconcile.
bool Core::adopt_if_on_disk(const Digest& digest) {
  if (index_.evicting(digest) || leaving_.contains(digest)) return false;
  const auto fd = open_file(layout_.blob(digest), O_RDONLY);
  if (!fd) return false;
  const auto identity = identify(fd->get());
  if (!identity) return false;
  for (const auto& [key, fill] : fills_)
    if (fill->storing(digest)) return false;  // just arriving
  BlobRecord record;
  record.digest = digest;
  record.size = identity->size;
  record.identity = *identity;
  index_.add(record, nullptr, true, false);
  return true;
}

bool Core::take_back(const std::string& id) {
  const auto part = layout_.part(id);
  if (::access(part.c_str(), F_OK) == 0) return false;
  const auto digest = FillMap::sealed(layout_, id);
  if (!digest || index_.has(*digest) || index_.evicting(*digest) || leaving_.contains(*digest)) return false;
  if (std::ranges::any_of(fills_, [&](const auto& entry) { return entry.second->storing(*digest); }))
    return false;
  return ::rename(layout_.blob(*digest).c_str(), part.c_str()) == 0;
}

std::shared_ptr<Fill> Core::find_fill(const FillKey& key) const {
  if (const auto found = fills_.find(key); found != fills_.end()) return found->second;
  if (!key.expected) return nullptr;
  const auto found = fills_by_digest_.find(*key.expected);
  return found == fills_by_digest_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<Link> Core::link(const std::string& store) {
  auto& link = links_[store];  // as many as there are stores in the configuration
  if (!link) link = std::make_shared<Link>();
  return link;
}

void Core::open_on_loop(const std::shared_ptr<OpenRequest>& request, Cache::OpenCallback callback) {
  if (stopping_) return callback(fail(Code::cancelled, "the cache is stopping"));
  const auto digest = request->digest ? request->digest : request->key.expected;
  if (digest && open_blob(request, *digest, callback)) return;
  if (const auto fill = find_fill(request->key)) {
    counters_.coalesced++;
    return fill->join(*request, std::move(callback));
  }
  if (!request->source) return callback(fail(Code::not_found, "the blob is not cached"));
  if (queued_.size() >= limits_.max_queued_fills)
    return callback(fail(Code::busy, std::to_string(queued_.size()) + " fills are waiting; try again later"));
  const auto source = request->source();
  if (!source) return callback(fail(Code::transient, "store " + request->key.store + " cannot be asked now"));
  counters_.misses++;
  const auto fill = std::make_shared<Fill>(*this, *request, source, link(request->key.store));
  fills_[request->key] = fill;
  if (request->key.expected) fills_by_digest_[*request->key.expected] = fill;
  fill->join(*request, std::move(callback));
  queued_.push_back(fill);
  start_queued_fills();
}

void Core::start_queued_fills() {
  while (!stopping_ && active_fills_ < limits_.max_active_fills && !queued_.empty()) {
    auto next = std::ranges::find_if(queued_, [](const auto& fill) { return !fill->prefetch(); });
    if (next == queued_.end()) next = queued_.begin();
    const auto fill = *next;
    queued_.erase(next);
    ++active_fills_;
    idle_partials_.erase(fill->id());
    fill->start();
  }
}

void Core::fill_ended(const std::shared_ptr<Fill>& fill, bool kept) {
  if (const auto found = fills_.find(fill->key()); found != fills_.end() && found->second == fill)
    fills_.erase(found);
  if (fill->key().expected) {
    const auto found = fills_by_digest_.find(*fill->key().expected);
    if (found != fills_by_digest_.end() && found->second.lock() == fill) fills_by_digest_.erase(found);
  }
  const auto queued = std::ranges::find(queued_, fill);
  if (queued != queued_.end())
    queued_.erase(queued);
  else if (active_fills_ > 0)
    --active_fills_;
  if (kept && fill->file()) {
    const std::uint64_t size = fill->file()->size();
    idle_partials_[fill->id()] = size == kUnknownSize ? fill->file()->present() : size;
  }
  start_queued_fills();
}

void Core::note_rejected(const Feed& feed, const FillKey* key) {
  const auto peers = feed.peers();
  if (!peers.empty()) rejected_peers_.add(peers, key, feed.digest());
}

}  // namespace otagate::cache
