// The one event log: what an operator should know goes to the log, to the state database and to
// whoever follows along.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "state/database.hpp"
#include "state/events.hpp"

namespace otagate::gateway {

// Thread-safe; adding never blocks. Must be destroyed before the database.
class EventLog {
 public:
  using Follower = std::function<void(const state::Event&)>;

  explicit EventLog(state::Database& db) : db_(db), shared_(std::make_shared<Shared>()) {}

  // Stamps, logs and queues the event. Followers get it with its sequence once it is durable.
  void add(state::Event event);
  // The common case: kind, severity, the instance it is about, one line for people.
  void add(std::string_view kind, state::Severity severity, std::string_view instance, std::string message);

  // For an event that belongs to a change of the state: `write` appends it within the change's own request,
  // so that there is either both or neither; `written` tells the followers, once that is durable.
  struct Staged {
    std::function<Result<void>(state::Writer&)> write;
    std::function<void()> written;
  };
  Staged stage(state::Event event);

  // `follower` is called on the database's writer thread: it must not block and not (un)follow.
  std::uint64_t follow(Follower follower);
  void unfollow(std::uint64_t id);

  void set_limits(const state::EventLimits& limits);
  // Prunes by age; for a timer.
  void prune();
  // Events that could not be written since the start.
  std::uint64_t lost() const { return shared_->lost.load(std::memory_order_relaxed); }

 private:
  // Outlives the log inside queued writes.
  struct Shared {
    Result<void> append(state::Writer& writer, state::Event& event);
    void tell(const state::Event& event);

    std::mutex mutex;
    std::map<std::uint64_t, Follower> followers;  // under mutex
    std::uint64_t next = 1;                       // under mutex
    state::EventLimits limits;                    // under mutex
    std::atomic<std::uint64_t> lost{0};
  };

  state::Database& db_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace otagate::gateway
