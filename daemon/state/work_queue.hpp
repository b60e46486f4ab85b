// A bounded queue with many producers and one consumer that takes all there is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace otagate::state {

template <class T>
class WorkQueue {
 public:
  enum class Push { accepted, full, closed };

  explicit WorkQueue(std::size_t limit) : limit_(limit) {}

  // Takes the item only if it returns `accepted`.
  Push push(T& item) {
    {
      const std::scoped_lock lock(mutex_);
      if (closed_) return Push::closed;
      if (items_.size() >= limit_) return Push::full;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return Push::accepted;
  }

  // Waits for items and moves up to `most` of them to `taken`; returns with none at `until`. False once
  // the queue is closed and empty.
  bool take(std::vector<T>& taken, std::size_t most,
            std::optional<std::chrono::steady_clock::time_point> until) {
    std::unique_lock lock(mutex_);
    const auto awake = [this] { return closed_ || !items_.empty(); };
    if (until) {
      ready_.wait_until(lock, *until, awake);
    } else {
      ready_.wait(lock, awake);
    }
    while (!items_.empty() && taken.size() < most) {
      taken.push_back(std::move(items_.front()));
      items_.pop_front();
    }
    return !taken.empty() || !closed_;
  }

  // Nothing more comes in; what is in it can still be taken.
  void close() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  std::size_t size() const {
    const std::scoped_lock lock(mutex_);
    return items_.size();
  }

 private:
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> items_;  // guarded by mutex_
  bool closed_ = false;  // guarded by mutex_
};

}  // namespace otagate::state
