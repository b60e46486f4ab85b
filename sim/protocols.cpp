#include "protocols.hpp"

#include <utility>

namespace otagate::sim {

const std::vector<ProtocolName>& protocols() {
  static constexpr auto packed = [](Profile p) {
    return make_drogue_device(std::move(p), DrogueFormat::packed);
  };
  static constexpr auto named = [](Profile p) {
    return make_drogue_device(std::move(p), DrogueFormat::named);
  };
  static constexpr auto json = [](Profile p) { return make_drogue_device(std::move(p), DrogueFormat::json); };
  static const std::vector<ProtocolName> all = {
      {"poll", false, &make_poll_device},       {"poll-coap", true, &make_poll_device},
      {"drogue-http", false, packed},           {"drogue-coap", true, packed},
      {"drogue-http-named", false, named},      {"drogue-coap-named", true, named},
      {"drogue-http-json", false, json},        {"drogue-coap-json", true, json},
      {"ddi", false, &make_ddi_device},         {"plain-http", false, &make_plain_device},
      {"plain-coap", true, &make_plain_device},
  };
  return all;
}

const ProtocolName* find_protocol(std::string_view name) {
  for (const auto& protocol : protocols()) {
    if (protocol.name == name) return &protocol;
  }
  return nullptr;
}

}  // namespace otagate::sim
