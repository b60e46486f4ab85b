// The device that a check of a transport needs: a command of the configuration.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "host.hpp"

namespace otagate::kit {

// In a process group of its own. Skipped is thrown where the configuration has none.
class Device {
 public:
  Device(Subject& subject, const std::string& out);
  ~Device();  // kill()
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Its exit code; nothing when it is still running after that time.
  std::optional<int> wait(milliseconds timeout);
  void freeze();  // SIGSTOP
  void kill();    // SIGKILL: the plug is pulled

  const std::string& out() const { return out_; }

 private:
  const std::string out_;
  pid_t pid_ = -1;
};

}  // namespace otagate::kit
