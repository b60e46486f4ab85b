// A thread that runs tasks in order, and timers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

namespace otagate::cache {

using TimerId = std::uint64_t;

// Any thread may call any member, but stop() and the destructor not from a task.
class Loop {
 public:
  using Task = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  // `name` is the thread's, at most 15 characters.
  explicit Loop(const std::string& name);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // False, and the task is dropped, once the loop has stopped.
  bool post(Task task);
  TimerId after(std::chrono::milliseconds delay, Task task);
  // A timer that has fired or is unknown: no-op.
  void cancel(TimerId timer);
  // How late the last timer was, in microseconds.
  std::int64_t lag_us() const { return lag_us_.load(std::memory_order_relaxed); }
  bool in_thread() const { return std::this_thread::get_id() == thread_.get_id(); }
  // Runs what has been posted, drops the timers, joins. Idempotent.
  void stop();

 private:
  void run();

  std::atomic<std::int64_t> lag_us_{0};
  std::mutex mutex_;  // guards all below but thread_
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::multimap<Clock::time_point, std::pair<TimerId, Task>> timers_;
  std::unordered_map<TimerId, std::multimap<Clock::time_point, std::pair<TimerId, Task>>::iterator> by_id_;
  TimerId last_timer_ = 0;
  bool stopping_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace otagate::cache
