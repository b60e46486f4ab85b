// What an operator or a store asks for: these devices should run this firmware, spread like this. The same
// text stands in the admin API and in the state database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "rollout/policy.hpp"

namespace otagate::rollout {

inline constexpr std::string_view kDefaultComponent = "application";
inline constexpr std::string_view kLatest = "latest";

// One firmware of a release.
struct Part {
  std::string component{kDefaultComponent};
  std::string name;
  std::string version;  // or kLatest: the newest of that name, whichever it is when a device asks
  std::string type;     // of the firmware; empty: the device's own, else one without a type
  std::string store;    // empty: any
  bool operator==(const Part&) const = default;
};

// A device is meant if it is listed, or if it is of the type (when one is given) and has all the tags (when
// some are given). Nothing given means nobody; `everybody` is everybody.
struct Target {
  std::vector<std::string> devices;
  std::string type;
  std::vector<std::string> tags;
  bool everybody = false;
  bool operator==(const Target&) const = default;
};

// Which of two deployments for one device and component wins: the greater; then the newer one.
enum class Rank : std::uint8_t { everybody = 0, type = 1, tag = 2, device = 3 };
// Whether the device is meant, and by what.
struct Match {
  bool matches = false;
  Rank rank = Rank::everybody;
};
Match match(const Target& target, std::string_view device, std::string_view type,
            const std::vector<std::string>& tags);

struct Spec {
  std::string name;         // for people; at most 200 bytes
  std::vector<Part> parts;  // 1 to 16, components differ
  Target target;
  Policy policy;
};

inline constexpr std::size_t kMaxSpec = 1 << 20;

// A JSON object:
//   {"name": "...", "parts": [{"component", "name", "version", "type", "store"}],
//    "target": {"devices": [], "type": "", "tags": [], "everybody": false},
//    "policy": {"waves": ["1", "10%", "100%"], "advance_at": "90%", "pause_at": "5%", "abort_at": "10%",
//               "concurrency": 10, "windows": ["Mon-Fri 02:00-04:00"], "window_without_clock": "closed",
//               "attempts": 3, "retry_first": "10m", "retry_most": "6h", "silence": "30m", "apply": "1h",
//               "deadline": "7d", "approval": false, "once": false, "downgrade": false, "stream": false}}
// Only parts and target are required. Unknown keys are errors. `invalid` names the member and what to write.
Result<Spec> parse_spec(std::string_view json);
// Reads back as the same.
std::string to_json(const Spec& spec);

}  // namespace otagate::rollout
