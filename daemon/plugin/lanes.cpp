#include "plugin/lanes.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace otagate::plugin {
namespace {

constexpr std::chrono::seconds kIdle{10};
constexpr std::chrono::seconds kPatience{1};

struct Queued {
  Task task;
  bool fetch = false;
};

// The lanes whose thread this is: an instance may end on its own thread.
thread_local const void* own_lanes = nullptr;

}  // namespace

struct Lanes::Shared : std::enable_shared_from_this<Lanes::Shared> {
  Shared(std::size_t threads, std::size_t fetch_threads, std::size_t max_queued)
      : most(threads), most_fetching(fetch_threads), most_queued(max_queued) {}

  const std::size_t most;
  const std::size_t most_fetching;
  const std::size_t most_queued;

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable calls_wake;
  std::condition_variable replies_wake;
  std::condition_variable ended;
  std::deque<Queued> calls;
  std::deque<Task> replies;
  std::size_t callers = 0;  // threads of the call lane
  std::size_t idle_callers = 0;
  std::size_t fetching = 0;
  bool replier = false;
  bool stop = false;

  bool has_call() const {
    for (const Queued& queued : calls)
      if (!queued.fetch || fetching < most_fetching) return true;
    return false;
  }

  Queued take_call() {
    for (auto it = calls.begin();; ++it) {
      if (it->fetch && fetching >= most_fetching) continue;
      Queued out = std::move(*it);
      calls.erase(it);
      return out;
    }
  }

  // Under the mutex.
  void want_caller() {
    calls_wake.notify_one();
    // An idle thread that was woken counts as idle until it runs: compare with what is queued.
    if (calls.size() > idle_callers && callers < most) {
      ++callers;
      try {
        std::thread([self = shared_from_this()] { self->run_calls(); }).detach();
      } catch (const std::system_error&) {
        --callers;  // the threads that are there will get to it
      }
    }
  }

  void run_calls() {
    own_lanes = this;
    std::unique_lock lock(mutex);
    while (!stop) {
      if (has_call()) {
        Queued work = take_call();
        if (work.fetch) ++fetching;
        lock.unlock();
        work.task();
        work.task = nullptr;
        lock.lock();
        if (work.fetch) --fetching;
        // The share that was given back may be what a queued fetch waited for.
        if (has_call() && idle_callers > 0) calls_wake.notify_one();
        continue;
      }
      ++idle_callers;
      const auto woken = calls_wake.wait_for(lock, kIdle);
      --idle_callers;
      if (woken == std::cv_status::timeout && !has_call()) break;
    }
    --callers;
    ended.notify_all();
  }

  void run_replies() {
    own_lanes = this;
    std::unique_lock lock(mutex);
    while (!stop) {
      if (!replies.empty()) {
        Task task = std::move(replies.front());
        replies.pop_front();
        lock.unlock();
        task();
        task = nullptr;
        lock.lock();
        continue;
      }
      if (replies_wake.wait_for(lock, kIdle) == std::cv_status::timeout && replies.empty()) break;
    }
    replier = false;
    ended.notify_all();
  }
};

Lanes::Lanes(std::size_t threads, std::size_t fetch_threads, std::size_t max_queued)
    : shared_(std::make_shared<Shared>(threads, fetch_threads, max_queued)) {}

Lanes::~Lanes() {
  std::deque<Queued> calls;
  std::deque<Task> replies;
  std::unique_lock lock(shared_->mutex);
  shared_->stop = true;
  calls.swap(shared_->calls);
  replies.swap(shared_->replies);
  shared_->calls_wake.notify_all();
  shared_->replies_wake.notify_all();
  // Idle threads end at once. Those that are in a plugin keep `shared_` alive until it returns.
  if (own_lanes != shared_.get())
    shared_->ended.wait_for(lock, kPatience, [&] { return shared_->callers == 0 && !shared_->replier; });
  lock.unlock();
}

bool Lanes::call(Task task, bool fetch) {
  std::lock_guard lock(shared_->mutex);
  if (shared_->stop || shared_->calls.size() >= shared_->most_queued) return false;
  shared_->calls.push_back({std::move(task), fetch});
  shared_->want_caller();
  return true;
}

void Lanes::call_always(Task task) {
  std::lock_guard lock(shared_->mutex);
  if (shared_->stop) return;
  shared_->calls.push_back({std::move(task), false});
  shared_->want_caller();
}

void Lanes::reply(Task task) {
  std::lock_guard lock(shared_->mutex);
  if (shared_->stop) return;
  shared_->replies.push_back(std::move(task));
  if (shared_->replier) {
    shared_->replies_wake.notify_one();
    return;
  }
  shared_->replier = true;
  try {
    std::thread([self = shared_] { self->run_replies(); }).detach();
  } catch (const std::system_error&) {
    shared_->replier = false;  // tried again with the next reply
  }
}

std::size_t Lanes::threads() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->callers + (shared_->replier ? 1 : 0);
}

}  // namespace otagate::plugin
