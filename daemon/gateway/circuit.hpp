// A circuit breaker for one store: while its uplink is gone, requests fail at once and say when to ask
// again, and one probe at a time finds out whether it is back.
#pragma once

#include <cstdint>
#include <mutex>

namespace otagate::gateway {

// Thread-safe. Times are steady milliseconds, passed in so that tests need no clock.
class Circuit {
 public:
  static constexpr std::uint32_t kThreshold = 3;  // failures in a row that open it
  static constexpr std::int64_t kFirstMs = 2'000;
  static constexpr std::int64_t kMostMs = 60'000;

  // 0: go on. Otherwise the milliseconds after which to ask again. Once they have passed, one caller
  // gets 0 as the probe; the others wait for what it finds.
  std::int64_t admit(std::int64_t now_ms);
  // What admit() would say, without becoming the probe.
  std::int64_t closed_for(std::int64_t now_ms) const;

  // Returns true when this opened or closed the circuit.
  bool succeeded();
  // `transient`: a failure of the way, not of the one object.
  bool failed(std::int64_t now_ms, std::uint64_t retry_after_ms);

 private:
  mutable std::mutex mutex_;
  std::uint32_t failures_ = 0;   // in a row
  std::int64_t until_ms_ = 0;    // open until then; 0: closed
  std::int64_t backoff_ms_ = 0;  // of the current outage
};

}  // namespace otagate::gateway
