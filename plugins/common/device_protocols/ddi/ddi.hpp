// hawkBit's Direct Device Integration API, served to devices: an unmodified DDI client (SWUpdate's suricatta,
// rauc-hawkbit-updater) has the gateway for its update server. The action id is the attempt's number.
//
//   GET  /{tenant}/controller/v1/{id}                                    what is there to do, poll again when
//   GET  .../deploymentBase/{action}          POST .../{action}/feedback
//   GET  .../cancelAction/{action}            POST .../{action}/feedback
//   GET  .../confirmationBase[/{action}]      POST .../{action}/feedback, .../(de)activateAutoConfirm
//   PUT  .../configData                       PUT  .../installedBase
//   GET  .../softwaremodules/{part}/artifacts[/{file}[.MD5SUM]]
//
// Protocol: https://eclipse.dev/hawkbit/apis/ddi_api
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/device_protocols/ddi/memory.hpp"
#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

class Ddi final : public Protocol {
 public:
  struct Options {
    std::string tenant = "DEFAULT";
    // Each update waits for the device's consent (confirmationBase), unless the device agrees to all.
    bool confirmation = false;
  };

  // What has to be remembered of clients may be shared by several: a carrier of several threads has a
  // device's requests on any of them. Null: its own.
  explicit Ddi(Options options, std::shared_ptr<ddi::Memory> memory = {});

  std::string_view name() const override { return "ddi"; }
  // Of every tenant: a wrong one is told so.
  bool serves(const std::vector<std::string>& path) const override;
  void handle(const Request& request, Gateway& gateway, Respond respond) const override;

 private:
  const Options options_;
  const std::shared_ptr<ddi::Memory> memory_;
};

}  // namespace otagate::plugins::devices
