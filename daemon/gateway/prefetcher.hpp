// Fills in advance what a store has and the cache has not, a few at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "state/database.hpp"

namespace otagate::gateway {

class Prefetcher {
 public:
  struct Context {
    state::Database& db;
    std::int64_t store = 0;
    // Opens the firmware in the cache without a reader, in the background; `done` exactly once.
    std::function<void(std::int64_t firmware, std::function<void(bool cached)> done)> open;
    // Whether `size` more bytes fit into the cache without pushing anything out.
    std::function<bool(std::uint64_t size)> room;
    // One has ended: pump() is due. Any thread; may come after the prefetcher has gone.
    std::function<void()> wake;
  };

  explicit Prefetcher(Context context) : context_(std::move(context)) {}

  // Queues all that is missing, unless some of the last look is still queued, and starts the first. Blocks
  // on the database.
  void look();
  // Starts as many as may run at a time.
  void pump();
  // Forgets what is queued; what runs goes on. Any thread.
  void stop();

 private:
  // Outlives the prefetcher in the callbacks of what runs.
  struct Shared {
    std::mutex mutex;
    bool stop = false;               // all under mutex
    std::deque<std::int64_t> queue;  // firmware ids
    std::uint32_t running = 0;
  };

  const Context context_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace otagate::gateway
