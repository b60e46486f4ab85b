// A reader: a read-only descriptor of a blob, complete or still being filled, and which parts are readable.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "cache/page.hpp"
#include "cache/types.hpp"

namespace otagate::cache {

class Feed;

using WaitId = std::uint64_t;

// Holds its blob against eviction while it lives. Every member may be called from any thread. Freed by
// dropping the last reference, which completes pending waits with `cancelled`. May outlive the Cache:
// the descriptor stays good, waits complete with `cancelled`.
class Reader {
 public:
  // Readable bytes from the wanted offset on (at least what was asked for, if the blob has so many), or
  // one of: changed, rejected, no_space, deadline, cancelled, or why the fill failed.
  using WantCallback = std::function<void(Result<std::uint64_t>)>;

  explicit Reader(std::shared_ptr<Feed> feed);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Read with pread or sendfile; stays the same file when the fill ends. Borrowed: lives as long as the
  // reader. Bytes outside what ready() and want() allow are holes or not verified.
  int fd() const;
  std::optional<std::uint64_t> size() const;
  PageState state() const;
  // Slot and generation of the shared page: its offset in Cache::page_fd() is slot * 64.
  std::uint32_t slot() const;
  std::uint64_t generation() const;
  const Page& page() const;

  // Contiguous readable bytes from `offset`; also inside a range that was fetched ahead.
  std::uint64_t ready(std::uint64_t offset) const;

  // Calls back once [offset, offset + min_length) is readable (cut at the end of the blob; an offset at or
  // beyond the end gives 0), inline when it is already, else on the cache's thread: do not block in it.
  // If nobody fetches that range yet it is fetched next, and up to `max_length` with it. Exactly one
  // callback per call. timeout 0: no deadline. Returns 0 when completed inline.
  WaitId want(std::uint64_t offset, std::uint64_t min_length, std::uint64_t max_length,
              std::chrono::milliseconds timeout, WantCallback callback);
  // The wait completes with `cancelled` unless it just completed otherwise.
  void cancel(WaitId wait);

  // The digest, once known: from the request, else from verification.
  std::optional<Digest> digest() const;
  // Why state() is failed.
  Error error() const;

  const std::shared_ptr<Feed>& feed() const { return feed_; }

 private:
  const std::shared_ptr<Feed> feed_;
  const std::uint64_t id_;
  std::atomic<bool> waited_{false};
};

}  // namespace otagate::cache
