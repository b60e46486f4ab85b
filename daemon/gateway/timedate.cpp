#include "gateway/timedate.hpp"

#include <systemd/sd-bus.h>

#include <memory>

namespace otagate::gateway {

std::optional<bool> timedate_synchronised(std::chrono::milliseconds timeout) {
  // A connection for each question: they are rare, and an idle one would cost memory all day.
  sd_bus* raw = nullptr;
  if (::sd_bus_open_system(&raw) < 0) return std::nullopt;
  const std::unique_ptr<sd_bus, sd_bus* (*)(sd_bus*)> bus(raw, ::sd_bus_close_unref);
  const auto usec = static_cast<std::uint64_t>(std::chrono::microseconds(timeout).count());
  ::sd_bus_set_method_call_timeout(bus.get(), usec);
  int synchronised = 0;
  sd_bus_error error{};
  const int got = ::sd_bus_get_property_trivial(bus.get(), "org.freedesktop.timedate1",
                                                "/org/freedesktop/timedate1", "org.freedesktop.timedate1",
                                                "NTPSynchronized", &error, 'b', &synchronised);
  ::sd_bus_error_free(&error);
  if (got < 0) return std::nullopt;
  return synchronised != 0;
}

}  // namespace otagate::gateway
