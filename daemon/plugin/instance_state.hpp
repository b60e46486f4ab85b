// How an instance does, put together from what is known of it: for `otagate plugins`, log and events.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "plugin/dispatcher.hpp"
#include "plugin/instance.hpp"

namespace otagate::plugin {

// Thread-safe. Changes of state reach the listener in order, on the dispatcher.
class StateKeeper {
 public:
  StateKeeper(std::string instance, std::shared_ptr<Dispatcher> dispatcher, InstanceListener& listener);

  // Failed for good: takes no more calls. The first reason stays.
  void fail(std::string reason);
  // Empty unless it has failed for good.
  std::string failed() const;
  // A call is past its deadline and the margin after it; it came back after all.
  void overdue(std::uint64_t call, const char* what);
  void came_back(std::uint64_t call);
  // The plugin's own word: OTAGATE_OK, OTAGATE_BUSY (waiting) or an error.
  void health(std::uint32_t status, std::string message);
  void stopped();
  // It did not let go when it was closed.
  void left_behind(std::string reason);
  // A broken rule that does no harm: shown with the state, logged at most once a minute.
  void complain(const std::string& what);
  // False when there are too many names already or the name is no good.
  bool metric(std::string_view name, bool gauge, double value);

  void fill(InstanceStatus& status) const;

  struct Counters {
    std::atomic<std::uint64_t> calls{0}, completed{0}, deadlines{0}, cancelled{0}, refused{0}, late{0},
        stray{0}, oversize{0}, thrown{0};
  };
  Counters counters;

 private:
  InstanceState now(std::string& reason) const;  // under mutex_
  void report();                                 // under mutex_

  const std::string instance_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  InstanceListener& listener_;

  mutable std::mutex mutex_;  // guards what follows
  std::string failed_;
  std::set<std::uint64_t> overdue_;
  std::string overdue_what_;
  std::uint32_t health_ = 0;
  std::string health_message_;
  std::string left_behind_;
  bool stopped_ = false;
  std::string complaint_;
  std::int64_t complained_ms_ = 0;
  std::map<std::string, Metric, std::less<>> metrics_;
  InstanceState reported_ = InstanceState::running;
  std::string reported_reason_;
  std::int64_t since_ms_;
};

}  // namespace otagate::plugin
