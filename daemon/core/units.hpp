// Sizes, durations and rates as people write them in the configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate {

// "512", "64KiB", "20MiB", "8GB", "1.5GiB": bytes. KB/MB/GB/TB are powers of 1000, K/KiB ... powers
// of 1024. Errors say what to write.
Result<std::uint64_t> parse_size(std::string_view text);
// "250ms", "30s", "5m", "1h30m", "7d", "2w".
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "4MiB/s", "500KB/s": bytes per second; also "10Mbit/s".
Result<std::uint64_t> parse_rate(std::string_view text);

// The shortest exact spelling that parses back to the same value.
std::string format_size(std::uint64_t bytes);
std::string format_duration(std::chrono::milliseconds duration);

}  // namespace otagate
