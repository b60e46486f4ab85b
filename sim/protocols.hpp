// The protocols that simulated devices speak, each written from its specification.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "device.hpp"

namespace otagate::sim {

// plain poll: GET /v1/devices/<id>/update, POST .../report, range downloads.
std::unique_ptr<Device> make_poll_device(Profile profile);
// Drogue's /v1/dfu. embedded-update writes statuses in two spellings of CBOR, and there is JSON.
enum class DrogueFormat : std::uint8_t { packed, named, json };
std::unique_ptr<Device> make_drogue_device(Profile profile, DrogueFormat format);
// hawkBit's Direct Device Integration API.
std::unique_ptr<Device> make_ddi_device(Profile profile);
// Knows host and path of its firmware, as nRF Connect SDK's FOTA downloader does, and reports nothing.
std::unique_ptr<Device> make_plain_device(Profile profile);

struct ProtocolName {
  std::string_view name;  // in --mix and in reports
  bool coap;
  std::unique_ptr<Device> (*make)(Profile);
};
const std::vector<ProtocolName>& protocols();
const ProtocolName* find_protocol(std::string_view name);

}  // namespace otagate::sim
