// The protocols that a carrier (the http transport, the coap transport) offers on its port.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/device_protocols/ddi/memory.hpp"
#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

struct Settings {
  bool drogue = true;
  bool poll = true;
  bool ddi = true;
  // How many bytes of firmware one answer carries at most, where the protocol moves bytes in its answers:
  // by device type, and for all others. Whatever a device asks for beyond it, it gets this.
  std::map<std::string, std::uint32_t> max_block_of_type;
  std::uint32_t max_block = 1024;
  // What a device's flash takes: every block but the last is a multiple of it.
  std::uint32_t write_size = 4;
  std::string ddi_tenant = "DEFAULT";
  // DDI clients are asked for their consent to each update (confirmationBase).
  bool ddi_confirmation = false;
  // Shared by all copies of these settings: a carrier of several threads has a device's requests on any.
  std::shared_ptr<ddi::Memory> ddi_memory = std::make_shared<ddi::Memory>();
  // A device may ask for its answer to be held back until there is something to do, but no longer than this:
  // below the idle timeout of the carrier.
  std::uint64_t max_poll_ms = 55'000;

  // At least 1.
  std::uint32_t block_cap(const std::string& type) const;
};

// Those that are enabled, in the order in which they are asked for a path. They keep a copy of the settings.
std::vector<std::unique_ptr<Protocol>> make_protocols(const Settings& settings);

// The one that serves the path, or null.
const Protocol* protocol_for(const std::vector<std::unique_ptr<Protocol>>& protocols,
                             const std::vector<std::string>& path);

}  // namespace otagate::plugins::devices
