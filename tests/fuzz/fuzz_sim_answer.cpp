// links: otagate_sim
// What a gateway may answer a simulated device: CoAP datagrams, Drogue commands, JSON of poll and DDI. The
// first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "coap.hpp"
#include "drogue_codec.hpp"
#include "protocols.hpp"

namespace {

using namespace otagate::sim;

// A few answers in a row, so that what follows an offer is reached as well.
void talk(std::unique_ptr<Device> device, std::string_view body) {
  auto action = device->begin(Milliseconds(0));
  for (int i = 0; i < 6 && !device->gone(); ++i) {
    if (std::holds_alternative<Rest>(action)) {
      action = device->rested(Milliseconds(i));
      continue;
    }
    Reply reply;
    reply.status = i % 2 == 0 ? 200 : 206;
    reply.content_type = "application/json";
    reply.body = body;
    action = device->answered(reply, Milliseconds(i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  static const Habits habits = [] {
    Habits made;
    made.firmware = "app/1.1.0";
    return made;
  }();
  Profile profile;
  profile.id = "sim-0";
  profile.version = "1.0.0";
  profile.habits = &habits;
  switch (data[0] % 5) {
    case 0:
      if (const auto message = coap::decode(body)) {
        // What was read is written and read again as the same.
        const auto again = coap::decode(coap::encode(*message));
        if (!again || again->payload != message->payload || again->options != message->options)
          __builtin_trap();
      }
      break;
    case 1: static_cast<void>(decode_command(body, false)); break;
    case 2: talk(make_drogue_device(profile, DrogueFormat::json), body); break;
    case 3: talk(make_poll_device(profile), body); break;
    default: talk(make_ddi_device(profile), body); break;
  }
  return 0;
}
