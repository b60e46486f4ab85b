#include "inbox.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace otagate::coap {

Inbox::Inbox() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Inbox::~Inbox() { close(fd_); }

void Inbox::post(Work work) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = work_.empty();
    work_.push_back(std::move(work));
  }
  if (first) eventfd_write(fd_, 1);
}

void Inbox::run() {
  std::vector<Work> batch;
  {
    const std::lock_guard lock(mutex_);
    if (work_.empty()) return;
    batch.swap(work_);
    // Under the lock: whoever finds the list empty afterwards writes again.
    eventfd_t count = 0;
    eventfd_read(fd_, &count);
  }
  for (auto& work : batch) work();
}

void Inbox::wait(std::chrono::steady_clock::time_point deadline) const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
  poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
}

}  // namespace otagate::coap
