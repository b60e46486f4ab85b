#include "device.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "check.hpp"
#include "gateway.hpp"
#include "subject.hpp"

namespace otagate::kit {

Device::Device(Subject& subject, const std::string& out) : out_(out) {
  const auto command = subject.setting("device");
  if (!command) throw Skipped{"the configuration has no device command"};
  pid_ = ::fork();
  expect(pid_ >= 0, "fork failed");
  if (pid_ == 0) {
    ::setpgid(0, 0);
    const std::pair<const char*, const char*> variables[] = {
        {"OTAGATE_CHECK_NAME", Gateway::kName}, {"OTAGATE_CHECK_VERSION", Gateway::kVersion},
        {"OTAGATE_CHECK_TYPE", Gateway::kType}, {"OTAGATE_CHECK_DEVICE", Gateway::kDevice},
        {"OTAGATE_CHECK_RUNS", Gateway::kRuns}, {"OTAGATE_CHECK_OUT", out_.c_str()}};
    for (const auto& [key, value] : variables) ::setenv(key, value, 1);
    ::execl("/bin/sh", "sh", "-c", command->c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);  // in both, so that it is done whoever comes first
}

Device::~Device() { kill(); }

std::optional<int> Device::wait(milliseconds timeout) {
  if (pid_ < 0) return std::nullopt;
  for (const auto until = Clock::now() + timeout;;) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    if (Clock::now() >= until) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(10));  // a child's end can only be polled for beside a deadline
  }
}

void Device::freeze() {
  if (pid_ > 0) ::kill(-pid_, SIGSTOP);
}

void Device::kill() {
  if (pid_ < 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace otagate::kit
