#include "cache/reader.hpp"

#include <utility>

#include "cache/feed.hpp"

namespace otagate::cache {

Reader::Reader(std::shared_ptr<Feed> feed) : feed_(std::move(feed)), id_(feed_->reader_added()) {}

Reader::~Reader() { feed_->reader_gone(id_, waited_.load(std::memory_order_relaxed)); }

int Reader::fd() const { return feed_->fd(); }

std::optional<std::uint64_t> Reader::size() const {
  const std::uint64_t size = feed_->size();
  return size == kUnknownSize ? std::nullopt : std::optional(size);
}

PageState Reader::state() const { return feed_->state(); }
std::uint32_t Reader::slot() const { return feed_->slot(); }
std::uint64_t Reader::generation() const { return feed_->generation(); }
const Page& Reader::page() const { return feed_->page(); }
std::uint64_t Reader::ready(std::uint64_t offset) const { return feed_->ready(offset); }

WaitId Reader::want(std::uint64_t offset, std::uint64_t min_length, std::uint64_t max_length,
                    std::chrono::milliseconds timeout, WantCallback callback) {
  waited_.store(true, std::memory_order_relaxed);
  return feed_->want(id_, offset, min_length, max_length, timeout, std::move(callback));
}

void Reader::cancel(WaitId wait) { feed_->cancel(wait); }

std::optional<Digest> Reader::digest() const { return feed_->digest(); }
Error Reader::error() const { return feed_->error(); }

}  // namespace otagate::cache
