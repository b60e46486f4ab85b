#include "cache/loop.hpp"

#include <pthread.h>

#include <utility>

namespace otagate::cache {

Loop::Loop(const std::string& name) {
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

Loop::~Loop() { stop(); }

bool Loop::post(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

TimerId Loop::after(std::chrono::milliseconds delay, Task task) {
  TimerId id = 0;
  {
    const std::scoped_lock lock(mutex_);
    id = ++last_timer_;
    by_id_[id] = timers_.emplace(Clock::now() + delay, std::pair(id, std::move(task)));
  }
  wake_.notify_one();
  return id;
}

void Loop::cancel(TimerId timer) {
  Task dropped;  // destroyed outside the lock: what it captured may call back
  const std::scoped_lock lock(mutex_);
  const auto found = by_id_.find(timer);
  if (found == by_id_.end()) return;
  dropped = std::move(found->second->second.second);
  timers_.erase(found->second);
  by_id_.erase(found);
}

void Loop::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  decltype(timers_) dropped;
  const std::scoped_lock lock(mutex_);
  dropped.swap(timers_);
  by_id_.clear();
}

void Loop::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Task task;
    if (!timers_.empty() && timers_.begin()->first <= Clock::now() && !stopping_) {
      const auto late = Clock::now() - timers_.begin()->first;
      lag_us_.store(std::chrono::duration_cast<std::chrono::microseconds>(late).count(),
                    std::memory_order_relaxed);
      task = std::move(timers_.begin()->second.second);
      by_id_.erase(timers_.begin()->second.first);
      timers_.erase(timers_.begin());
    } else if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else if (stopping_) {
      stopped_ = true;
      return;
    } else if (timers_.empty()) {
      wake_.wait(lock);
      continue;
    } else {
      const Clock::time_point due = timers_.begin()->first;  // the timer may be cancelled during the wait
      wake_.wait_until(lock, due);
      continue;
    }
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace otagate::cache
