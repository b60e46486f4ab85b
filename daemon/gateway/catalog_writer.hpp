// What a sync writes of one object: the object, the firmware it is, and the events that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "firmware/image.hpp"
#include "firmware/metadata.hpp"
#include "state/events.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"

namespace otagate::gateway {

// What examining one object came to.
struct Examined {
  state::Object object;
  std::optional<state::Firmware> firmware;  // none: `object.skipped` says why
  std::vector<state::Event> events;
};

state::Firmware to_firmware(const state::Object& object, const firmware::Merged& merged,
                            firmware::Format format);

// Writes one examined object and appends its events; true when the catalog answers differently now.
Result<bool> write_examined(state::Writer& db, const std::string& store_name, Examined& examined);

// An object has new bytes: from this transaction on its firmware is that of the new version, whose
// digest is not known yet. What is read before the object is examined again gets the new bytes under a
// new tag, never a mixture.
Result<void> turn_firmware(state::Writer& db, const std::string& store_name, const state::Object& object,
                           std::int64_t object_id, std::vector<state::Event>& events);

}  // namespace otagate::gateway
