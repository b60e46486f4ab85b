// What operators write of devices: JSON objects or a table as CSV.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "rollout/views.hpp"

namespace otagate::api {

inline constexpr std::size_t kMaxEdits = 10'000;
inline constexpr std::size_t kMaxTags = 64;          // of a device
inline constexpr std::size_t kMaxPairs = 64;         // attributes or versions of a device
inline constexpr std::size_t kMaxDeviceText = 1024;  // bytes of one text of a device

// {"id", "type", "approval": "pending"|"approved"|"blocked", "tags": [], "versions": {}, "attributes": {}}.
// null is the same as absent. What else a device is shown with is passed over, so that what was exported can
// be imported; other keys are errors. `invalid` names the key and what to write.
Result<rollout::DeviceEdit> parse_device_edit(const boost::json::object& object);

// One such object, or {"items": [...]}.
Result<std::vector<rollout::DeviceEdit>> parse_device_edits(std::string_view json);

// CSV (RFC 4180, UTF-8): a header, then a line for each device. Columns id, type, approval, tags (separated
// by spaces), version.<component>, attribute.<key>; in any order, only id is required. An empty cell sets
// nothing, a row's version and attribute cells make up all of its versions and attributes. Other columns that
// an export has are passed over. `invalid` names the row.
Result<std::vector<rollout::DeviceEdit>> parse_device_csv(std::string_view text);

// The same columns, and transport, address, first_seen_ms, last_seen_ms; lines end with CR LF.
std::string to_csv(const std::vector<rollout::DeviceView>& devices);

}  // namespace otagate::api
