#include "cache/cache.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "cache/core.hpp"

namespace otagate::cache {

Result<std::unique_ptr<Cache>> Cache::create(Options options, Host host) {
  if (host.journal == nullptr || host.events == nullptr)
    return fail(Code::internal, "a cache needs a journal and an event sink");
  const Layout layout(options.root);
  if (auto made = layout.make_folders(); !made) return fail(made.error());
  auto lock = open_file(layout.lock_file(), O_RDWR | O_CREAT);
  if (!lock) return fail(lock.error());
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Code::busy, "another process uses the cache in " + options.root.string() +
                                "; stop it or configure another folder");
  const bool stopped_uncleanly = std::filesystem::exists(layout.running_marker());
  auto marker = open_file(layout.running_marker(), O_WRONLY | O_CREAT);
  if (!marker) return fail(marker.error());
  auto pages = PageTable::create();
  if (!pages) return fail(pages.error());
  auto core = std::make_shared<Core>(std::move(options), host, std::move(*lock), std::move(*pages),
                                     stopped_uncleanly);
  core->start();
  return std::unique_ptr<Cache>(new Cache(std::move(core)));
}

Cache::Cache(std::shared_ptr<Core> core) : core_(std::move(core)) {}
Cache::~Cache() { stop(); }

void Cache::open(OpenRequest request, const OpenCallback& callback) {
  core_->open(std::move(request), callback);
}

Result<ReaderPtr> Cache::open_cached(const Digest& digest, bool streaming, std::string_view peer) {
  return core_->open_cached(digest, streaming, Core::peer_hash(peer));
}

bool Cache::has(const Digest& digest) const { return core_->index().has(digest); }
void Cache::report_bad(const ReaderPtr& reader, const Error& why) { core_->report_bad(reader, why); }
void Cache::pin(const Digest& digest, std::string_view owner) { core_->index().pin(digest, owner); }
void Cache::unpin(const Digest& digest, std::string_view owner) { core_->index().unpin(digest, owner); }
void Cache::evict(const Digest& digest, const DoneCallback& done) { core_->evict(digest, done); }
void Cache::verify(const Digest& digest, const DoneCallback& done) { core_->verify(digest, done); }

void Cache::cancel_fill(const FillKey& key, bool discard, const DoneCallback& done) {
  core_->cancel_fill(key, discard, done);
}

void Cache::reconcile(const DoneCallback& done) { core_->reconcile(done); }

bool Cache::had_rejected_bytes(std::string_view peer, const FillKey& key) const {
  return core_->rejected_peers().contains(Core::peer_hash(peer), key);
}

void Cache::forget_rejected_bytes(std::string_view peer, const FillKey& key) {
  core_->rejected_peers().remove(Core::peer_hash(peer), key);
}

void Cache::set_limits(const Limits& limits) { core_->set_limits(limits); }

void Cache::set_rate_limit(std::string_view store, std::uint64_t bytes_per_second) {
  core_->set_rate_limit(std::string(store), bytes_per_second);
}

void Cache::retry_now(std::string_view store) { core_->retry_now(std::string(store)); }
Stats Cache::stats() const { return core_->stats(); }
std::vector<BlobRecord> Cache::blobs() const { return core_->index().list(); }
std::optional<BlobRecord> Cache::blob(const Digest& digest) const { return core_->index().find(digest); }
std::vector<FillInfo> Cache::fills() const { return core_->fills(); }
int Cache::page_fd() const { return core_->pages().read_only_fd(); }
void Cache::stop() { core_->stop(); }

}  // namespace otagate::cache
