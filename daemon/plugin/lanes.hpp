// The threads one instance may use. A plugin that never returns holds these and no others.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "plugin/dispatcher.hpp"

namespace otagate::plugin {

// Thread-safe. Threads are made when there is work and end after some seconds without; they are
// detached, because one that is stuck in a plugin could never be joined.
//
// The call lane runs calls to the plugin, several at a time, in the order in which they were posted,
// except that fetches never take more than their share, so that a listing gets through. The reply lane
// runs what must not wait behind a call (replies, timers, cancel), one at a time.
class Lanes {
 public:
  Lanes(std::size_t threads, std::size_t fetch_threads, std::size_t max_queued);
  // Drops what is queued and waits for a moment for threads that are not stuck.
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // False when the queue is full; then the task is not run.
  bool call(Task task, bool fetch);
  // Never refused: for hints and for the end of an instance.
  void call_always(Task task);
  void reply(Task task);

  std::size_t threads() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace otagate::plugin
