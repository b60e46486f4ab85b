// Keeps the catalog in step with one store: lists it at an interval, on demand and on hints, writes what
// changed, and fills in advance what should be at hand.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cache/cache.hpp"
#include "config/config.hpp"
#include "gateway/events.hpp"
#include "gateway/interpret.hpp"
#include "gateway/journal.hpp"
#include "gateway/prefetcher.hpp"
#include "gateway/store_client.hpp"
#include "gateway/store_scope.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

struct StoreStatus {
  std::string phase;  // "idle", "listing", "examining"
  std::int64_t last_sync_ms = 0;
  std::int64_t last_ok_ms = 0;
  std::string last_error;  // of the last listing, empty if it was good
  std::uint64_t objects = 0;
  std::uint64_t skipped = 0;
  std::uint64_t requests = 0;
  std::uint64_t body_bytes = 0;
  std::uint64_t errors = 0;
  std::int64_t open_for_ms = 0;  // circuit breaker: requests fail at once for so long
  std::int64_t next_in_ms = 0;
};

class StoreRunner {
 public:
  struct Context {
    state::Database& db;
    EventLog& events;
    Journal& journal;
    std::function<void()> catalog_changed;
    // Opens the firmware in the cache without a reader, in the background; `done` exactly once.
    std::function<void(std::int64_t firmware, std::function<void(bool cached)> done)> prefetch;
    // Whether `size` more bytes fit into the cache without pushing anything out.
    std::function<bool(std::uint64_t size)> room;
  };

  StoreRunner(Context context, std::int64_t store_id, config::Store config,
              std::shared_ptr<StoreClient> client);
  ~StoreRunner();  // stop()
  StoreRunner(const StoreRunner&) = delete;
  StoreRunner& operator=(const StoreRunner&) = delete;

  void start();
  // Ends the listing in progress when the call to the store that it waits for has ended.
  void ask_stop();
  // The same; returns when the thread has ended. Idempotent.
  void stop();

  // Lists as soon as possible. `done` is called with the outcome of a listing that began after this call;
  // with Code::cancelled when the runner stops first.
  void sync_now(std::function<void(Result<void>)> done = {});
  // A hint of the store that something changed. Any thread, cheap; hints are merged.
  void changed();

  const config::Store& config() const { return config_; }
  const std::shared_ptr<StoreClient>& client() const { return client_; }
  std::int64_t id() const { return id_; }
  StoreStatus status() const;

 private:
  void run();
  Result<void> sync();
  void set_phase(std::string phase);
  bool stopping() const;

  Context context_;
  const std::int64_t id_;
  const config::Store config_;
  const std::shared_ptr<StoreClient> client_;
  const bool local_;
  const bool prefetches_;
  const Interpreter interpreter_;
  KnownIndexes known_;  // runner thread only

  // What callbacks touch that may outlive the runner; all under its mutex.
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake;
    bool stop = false;
    bool hint = false;
    bool pump = false;  // a prefetch has ended
    std::vector<std::function<void(Result<void>)>> asked;
    StoreStatus status;
    std::int64_t next_ms = 0;  // steady time of the next listing
  };
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  Prefetcher prefetcher_;
  std::thread thread_;
};

}  // namespace otagate::gateway
