// One thread for everything that must happen in order and on time: completions, deadlines.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace otagate::plugin {

using Task = std::function<void()>;
using TimerId = std::pair<std::chrono::steady_clock::time_point, std::uint64_t>;

// Thread-safe. Tasks must not block and must not throw.
class Dispatcher {
 public:
  Dispatcher();
  ~Dispatcher();  // stop()
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Runs tasks in the order in which they were posted. After stop() they are dropped.
  void post(Task task);
  TimerId after(std::chrono::milliseconds delay, Task task);
  // The task does not run any more, unless it is running already.
  void cancel(const TimerId& timer);
  // Runs what was posted before, drops timers, ends the thread. Not on the dispatcher's own thread.
  void stop();

 private:
  void run();

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::map<TimerId, Task> timers_;
  std::uint64_t next_ = 0;
  bool stop_ = false;
  bool idle_ = false;   // the thread waits, and no task has woken it yet
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace otagate::plugin
