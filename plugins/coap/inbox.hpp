// Work that other threads hand to the listener's thread.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

namespace otagate::coap {

class Inbox {
 public:
  using Work = std::function<void()>;

  Inbox();
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Any thread.
  void post(Work work);

  // The rest is for the listener's thread. The descriptor is readable while there is work.
  int fd() const { return fd_; }
  void run();
  // Returns when there is work, or at `deadline`.
  void wait(std::chrono::steady_clock::time_point deadline) const;

 private:
  int fd_;
  std::mutex mutex_;
  std::vector<Work> work_;  // under mutex_
};

}  // namespace otagate::coap
