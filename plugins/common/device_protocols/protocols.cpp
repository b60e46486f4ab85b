#include "common/device_protocols/protocols.hpp"

#include <algorithm>
#include <utility>

#include "common/device_protocols/ddi/ddi.hpp"
#include "common/device_protocols/drogue/drogue.hpp"
#include "common/device_protocols/poll/poll.hpp"

namespace otagate::plugins::devices {

std::uint32_t Settings::block_cap(const std::string& type) const {
  const auto found = max_block_of_type.find(type);
  return std::max<std::uint32_t>(1, found == max_block_of_type.end() ? max_block : found->second);
}

std::vector<std::unique_ptr<Protocol>> make_protocols(const Settings& settings) {
  std::vector<std::unique_ptr<Protocol>> out;
  if (settings.drogue) out.push_back(std::make_unique<Drogue>(settings));
  if (settings.poll) out.push_back(std::make_unique<Poll>(settings));
  if (settings.ddi) {
    Ddi::Options options{settings.ddi_tenant, settings.ddi_confirmation};
    out.push_back(std::make_unique<Ddi>(std::move(options), settings.ddi_memory));
  }
  return out;
}

const Protocol* protocol_for(const std::vector<std::unique_ptr<Protocol>>& protocols,
                             const std::vector<std::string>& path) {
  const auto found =
      std::find_if(protocols.begin(), protocols.end(), [&](const auto& one) { return one->serves(path); });
  return found == protocols.end() ? nullptr : found->get();
}

}  // namespace otagate::plugins::devices
