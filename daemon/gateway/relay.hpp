// Between the fleet and the stores that assign updates: stores are told which devices to watch and how
// updates went, again and again until they have heard it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "config/config.hpp"
#include "gateway/events.hpp"
#include "gateway/fleet.hpp"
#include "gateway/relay_queue.hpp"
#include "gateway/store_client.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

struct AssignmentsStatus {
  std::uint64_t watched = 0;  // devices the store was told of
  std::uint64_t unsaid = 0;   // devices it has yet to be told of
  std::uint64_t outbox = 0;   // feedback it has yet to be told
  std::string last_error;     // of the last call that failed; empty once one was good
};

// Any thread.
class Relay {
 public:
  // `agreed`: upstream has heard that somebody agreed to an assignment; on the database's thread. All outlive
  // this.
  Relay(state::Database& db, EventLog& events,
        std::function<void(const std::string& store, const std::string& external_id)> agreed)
      : db_(db), events_(events), agreed_(std::move(agreed)) {}
  ~Relay();  // stop()
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void start();
  void stop();

  // Reads what the store has yet to be told. Blocks.
  void add_store(const config::Store& store, std::shared_ptr<StoreClient> client);
  // No call of it begins afterwards; those that are open end with its instance.
  void remove_store(const std::string& name);
  // Nothing: it does not assign.
  std::optional<AssignmentsStatus> status(const std::string& store) const;

  // Of the fleet; see FleetHost.
  void device_known(const KnownDevice& device);
  void device_gone(const std::string& id);
  void feedback_waits(const state::OutboxRow& row);

 private:
  struct Line {
    Line(config::Store of, std::shared_ptr<StoreClient> by)
        : store(std::move(of)), client(std::move(by)), queue(store.retry) {}
    const config::Store store;
    const std::shared_ptr<StoreClient> client;
    RelayQueue queue;
    unsigned open = 0;
    bool full_said = false;
    std::string last_error;
  };
  using LinePtr = std::shared_ptr<Line>;
  // Replies to calls may come after this has gone.
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake;
    bool news = false;
    bool stopping = false;
    Relay* relay = nullptr;  // until it stops
  };

  void run();
  std::optional<std::chrono::milliseconds> pump(std::unique_lock<std::mutex>& lock);
  void call(const LinePtr& line, const RelayQueue::Job& job);
  void ended(const LinePtr& line, const RelayQueue::Job& job, const Result<void>& result);
  void forget(const std::string& store, const state::OutboxRow& row);

  state::Database& db_;
  EventLog& events_;
  const std::function<void(const std::string&, const std::string&)> agreed_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::map<std::string, LinePtr, std::less<>> lines_;  // under the mutex
  std::thread thread_;
};

}  // namespace otagate::gateway
