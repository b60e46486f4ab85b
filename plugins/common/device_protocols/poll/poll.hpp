// Plain poll: a device asks with GET whether there is an update for it, fetches what the answer names, and
// says with POST how far it is.
#pragma once

#include "common/device_protocols/protocol.hpp"
#include "common/device_protocols/protocols.hpp"

namespace otagate::plugins::devices {

// README.md beside this has the resources: /v1/devices/<id>/update and /v1/devices/<id>/report.
class Poll final : public Protocol {
 public:
  explicit Poll(const Settings& settings) : max_poll_ms_(settings.max_poll_ms) {}

  std::string_view name() const override { return "poll"; }
  bool serves(const std::vector<std::string>& path) const override {
    return path.size() == 4 && path[0] == "v1" && path[1] == "devices" &&
           (path[3] == "update" || path[3] == "report");
  }
  void handle(const Request& request, Gateway& gateway, Respond respond) const override;

 private:
  void update(const Request& request, Gateway& gateway, Respond respond) const;

  const std::uint64_t max_poll_ms_;
};

}  // namespace otagate::plugins::devices
