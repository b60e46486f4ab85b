// The daemon's metrics in Prometheus' text format.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "api/backend.hpp"

namespace otagate::api {

// What the server counts of itself, for the metrics; any thread.
struct ServerCounters {
  // Answers of the admin API by the first digit of their status.
  std::array<std::atomic<std::uint64_t>, 6> answers{};
  // How late the loop's last timer of a second was.
  std::atomic<std::int64_t> lag_us{0};
};

// Text exposition format 0.0.4 of a snapshot taken now.
std::string render_metrics(const Backend& backend, const ServerCounters& server);

}  // namespace otagate::api
