#include "common/device_protocols/drogue/drogue.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/drogue/exchange.hpp"
#include "common/device_protocols/drogue/message.hpp"

namespace otagate::plugins::devices {

void Drogue::handle(const Request& request, Gateway& gateway, Respond respond) const {
  if (request.method != Method::post) return respond(method_not_allowed("POST"));
  if (request.body.size() > drogue::kMaxStatus)
    return respond(problem(413, "a Drogue status has at most 2048 bytes"));
  auto read = drogue::read_status(request.body);
  if (!read) return respond(refusal(read.status, 0, read.message));

  drogue::Asker asker;
  const auto hold = request.parameter("ct");
  if (!hold.empty()) {
    const auto seconds = parse_number(hold, 86'400);
    if (!seconds) return respond(problem(400, "ct is a number of seconds, at most 86400"));
    // drgdfu gives up after exactly the time that it asks for: the answer has to be there before that.
    asker.held_ms = std::min(*seconds * 900, settings_.max_poll_ms);
  }
  // The gateway refuses a name that is not the credential's own.
  const auto named = request.parameter("device");
  const std::string_view self = named.empty() ? request.principal_device : named;
  const auto other = request.parameter("as");
  asker.device = other.empty() ? self : other;
  if (!other.empty() && other != self) asker.acting_for = self;
  if (asker.device.empty())
    return respond(problem(400, "who asks? Use a credential bound to a device, or say ?device=<id>"));
  // A gateway's own type says nothing of the devices behind it.
  const bool own_type = asker.acting_for.empty() && !request.principal_type.empty();
  asker.type = own_type ? request.principal_type : request.parameter("type");
  const auto component = request.parameter("component");
  asker.component = component.empty() ? "application" : component;
  asker.principal = request.principal;
  asker.address = request.peer;
  asker.block_cap = settings_.block_cap(asker.type);
  asker.write_size = std::max<std::uint32_t>(1, settings_.write_size);
  std::make_shared<drogue::Exchange>(std::move(asker), std::move(read.value), gateway, std::move(respond))
      ->start();
}

}  // namespace otagate::plugins::devices
