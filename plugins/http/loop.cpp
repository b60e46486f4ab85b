#include "http/loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "otagate/cpp/status.hpp"

namespace otagate::http {
namespace {

constexpr std::uint64_t kTickMs = 1000;

std::uint64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  now_ms_ = monotonic_ms();
  if (epoll_ < 0 || wake_ < 0 || !add(wake_, EPOLLIN, nullptr)) {
    if (epoll_ >= 0) close(epoll_);
    if (wake_ >= 0) close(wake_);
    throw sdk::Failure(OTAGATE_INTERNAL,
                       "cannot make an event loop: the process has too many open files; "
                       "raise LimitNOFILE of the service");
  }
}

Loop::~Loop() {
  close(epoll_);
  close(wake_);
}

void Loop::run() {
  std::array<epoll_event, 256> events{};
  while (!stopping_) {
    int timeout = -1;
    if (ticking_) {
      if (next_tick_ms_ == 0) next_tick_ms_ = monotonic_ms() + kTickMs;
      const std::uint64_t now = monotonic_ms();
      timeout = next_tick_ms_ > now ? static_cast<int>(next_tick_ms_ - now) : 0;
    } else {
      next_tick_ms_ = 0;
    }
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    now_ms_ = monotonic_ms();
    bool woken = false;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) {
        woken = true;
      } else {
        static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
      }
    }
    if (woken) run_posted();
    if (after_batch) after_batch();
    if (ticking_ && next_tick_ms_ != 0 && now_ms_ >= next_tick_ms_) {
      next_tick_ms_ = now_ms_ + kTickMs;
      if (on_tick) on_tick();
      if (after_batch) after_batch();
    }
  }
}

void Loop::stop() {
  post([this] { stopping_ = true; });
}

bool Loop::add(int fd, std::uint32_t epoll_events, Watcher* watcher) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = watcher;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::modify(int fd, std::uint32_t epoll_events, Watcher* watcher) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = watcher;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Loop::push(std::unique_ptr<Task> task) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (!first) return;
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the loop is awake anyhow.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
}

void Loop::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof count);
  {
    const std::lock_guard lock(mutex_);
    running_.swap(posted_);
  }
  for (auto& task : running_) task->run();
  running_.clear();
}

}  // namespace otagate::http
