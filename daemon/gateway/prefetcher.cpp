#include "gateway/prefetcher.hpp"

#include "core/log.hpp"
#include "gateway/paged_read.hpp"
#include "state/firmware.hpp"

namespace otagate::gateway {

namespace {
constexpr std::uint32_t kAtATime = 4;
}  // namespace

void Prefetcher::look() {
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->stop || !shared_->queue.empty()) return;
  }
  std::deque<std::int64_t> missing;
  std::uint64_t bytes = 0;
  bool room = true;
  PagedRead reads(context_.db);
  std::optional<std::int64_t> after = 0;
  while (room && after) {
    auto page = reads.once([&](state::Reader& db, std::size_t limit) {
      return state::page_uncached(db, context_.store, *after, limit);
    });
    if (!page) {
      log("gateway").warn("looking for what to prefetch: {}", page.error().message());
      return;
    }
    for (const state::UncachedPage::Item& item : page->items) {
      bytes += item.size.value_or(0);
      room = context_.room(bytes);
      if (!room) break;
      missing.push_back(item.id);
    }
    after = page->next;
  }
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->stop) return;
    shared_->queue = std::move(missing);
  }
  pump();
}

void Prefetcher::pump() {
  for (;;) {
    std::int64_t id = 0;
    {
      const std::scoped_lock lock(shared_->mutex);
      if (shared_->stop || shared_->queue.empty() || shared_->running >= kAtATime) return;
      id = shared_->queue.front();
      shared_->queue.pop_front();
      ++shared_->running;
    }
    // May come inline or long after the prefetcher has gone: it touches nothing but what is shared.
    context_.open(id, [shared = shared_, wake = context_.wake](bool) {
      {
        const std::scoped_lock lock(shared->mutex);
        --shared->running;
      }
      wake();
    });
  }
}

void Prefetcher::stop() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->stop = true;
  shared_->queue.clear();
}

}  // namespace otagate::gateway
