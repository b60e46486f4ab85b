// What a device says of its update, as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "otagate/cpp/status.hpp"

namespace otagate::plugins::devices::poll {

inline constexpr std::size_t kMaxReport = 8192;
inline constexpr std::size_t kMaxMessage = 1024;  // bytes; a longer one is cut
inline constexpr std::uint64_t kMaxParts = 16;

struct Report {
  std::uint64_t deployment = 0;  // the attempt; never 0
  std::uint32_t state = 0;       // OTAGATE_ATTEMPT_*: DOWNLOADING, DOWNLOADED, APPLYING, CONFIRMED, FAILED
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
  std::int32_t code = 0;
  std::string message{};
  std::string version{};
};

// {"deployment": "17" or 17, "state": "downloading" | "downloaded" | "applying" | "succeeded" | "failed",
//  "offset"?, "code"?, "message"?, "part"?, "version"?}
// OTAGATE_INVALID with a sentence that names the member which is wrong or not known.
sdk::Outcome<Report> read_report(std::string_view body);

}  // namespace otagate::plugins::devices::poll
