// What is remembered of DDI clients between their requests, beside what the gateway itself keeps: a cancel is
// a dialogue in DDI, while for the gateway an attempt that was stopped has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/device_protocols/ddi/documents.hpp"

namespace otagate::plugins::devices::ddi {

// What it costs to forget it (a restart, more devices than there is room for): a device that is stopped
// learns it by 410 only, is asked for its attributes once more, and for its consent once more, and is not
// shown any more what it has installed.
struct Remembered {
  std::uint64_t told = 0;        // the attempt it was last sent to and has not closed
  std::uint64_t first_size = 0;  // of that attempt's first part; 0: unknown
  std::uint32_t parts = 0;       // of that attempt; 0: unknown
  std::uint8_t cancels = 0;      // how often it was told to cancel `told`
  bool begun = false;            // it has said something of `told`
  bool downloaded = false;       // `told` is on the device
  bool stopped = false;          // `told` is over for the gateway: the device is to cancel it
  std::uint64_t closed = 0;      // the attempt it closed last
  std::uint64_t consented = 0;   // the attempt it agreed to
  bool consents = false;         // agrees to all
  bool configured = false;       // has sent its attributes since it was last asked
  // The attempt whose artifacts it was shown last, and the one that it has installed last.
  struct Shown {
    std::uint64_t attempt = 0;
    std::shared_ptr<const Artifacts> artifacts;
  };
  Shown shown;
  Shown installed;

  // It runs what that attempt brought.
  void has_installed(std::uint64_t attempt);
};

// Of the devices heard of last; any thread.
class Memory {
 public:
  explicit Memory(std::size_t devices = 10'000) : most_(devices) {}

  // Nothing known is the default.
  Remembered get(std::string_view device);
  // `change` runs under a mutex.
  void update(std::string_view device, const std::function<void(Remembered&)>& change);
  std::size_t size() const;
  // The same, kept once however many devices are shown it.
  std::shared_ptr<const Artifacts> shared(Artifacts artifacts);

 private:
  using Entries = std::list<std::pair<std::string, Remembered>>;

  const std::size_t most_;
  mutable std::mutex mutex_;
  Entries entries_;  // the latest first
  std::unordered_map<std::string_view, Entries::iterator> by_device_;
  std::vector<std::weak_ptr<const Artifacts>> shared_;  // the latest last
};

}  // namespace otagate::plugins::devices::ddi
