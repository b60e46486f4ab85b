// The Drogue firmware protocol: POST /v1/dfu with a device's status, answered with what it should do next.
#pragma once

#include "common/device_protocols/protocol.hpp"
#include "common/device_protocols/protocols.hpp"

namespace otagate::plugins::devices {

// README.md beside this says what it makes of a request.
class Drogue final : public Protocol {
 public:
  explicit Drogue(Settings settings) : settings_(std::move(settings)) {}

  std::string_view name() const override { return "drogue"; }
  bool serves(const std::vector<std::string>& path) const override {
    return path.size() == 2 && path[0] == "v1" && path[1] == "dfu";
  }
  void handle(const Request& request, Gateway& gateway, Respond respond) const override;

 private:
  const Settings settings_;
};

}  // namespace otagate::plugins::devices
