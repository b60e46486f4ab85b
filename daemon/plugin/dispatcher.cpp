#include "plugin/dispatcher.hpp"

namespace otagate::plugin {

Dispatcher::Dispatcher() : thread_([this] { run(); }) {}

Dispatcher::~Dispatcher() { stop(); }

void Dispatcher::post(Task task) {
  std::lock_guard lock(mutex_);
  if (stop_) return;
  tasks_.push_back(std::move(task));
  if (std::exchange(idle_, false)) wake_.notify_one();
}

TimerId Dispatcher::after(std::chrono::milliseconds delay, Task task) {
  std::lock_guard lock(mutex_);
  const TimerId id{std::chrono::steady_clock::now() + delay, ++next_};
  if (stop_) return id;
  timers_.emplace(id, std::move(task));
  if (timers_.begin()->first == id) wake_.notify_one();
  return id;
}

void Dispatcher::cancel(const TimerId& timer) {
  Task dropped;  // destroyed outside the lock: it may own an instance
  std::lock_guard lock(mutex_);
  if (auto found = timers_.extract(timer)) dropped = std::move(found.mapped());
}

void Dispatcher::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Dispatcher::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto now = std::chrono::steady_clock::now();
    if (!timers_.empty() && timers_.begin()->first.first <= now) {
      Task task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    } else if (!tasks_.empty()) {
      // All at once: fifty readers of a fill are answered one after the other, and need one wake-up.
      std::deque<Task> batch = std::exchange(tasks_, {});
      lock.unlock();
      for (Task& task : batch) {
        task();
        task = nullptr;
      }
      lock.lock();
    } else if (stop_) {
      auto timers = std::exchange(timers_, {});
      lock.unlock();
      return;
    } else {
      idle_ = true;
      if (timers_.empty()) {
        wake_.wait(lock);
      } else {
        // A copy: cancel() may take the timer away while we wait.
        const auto until = timers_.begin()->first.first;
        wake_.wait_until(lock, until);
      }
      idle_ = false;
    }
  }
}

}  // namespace otagate::plugin
