// systemd-timedated's word on the clock, for where the kernel may not be asked.
#pragma once

#include <chrono>
#include <optional>

namespace otagate::gateway {

// Property NTPSynchronized of org.freedesktop.timedate1 (org.freedesktop.timedate1(5)), over the system
// bus: the kernel's own flag, whoever disciplines the clock (chrony, ntpd, systemd-timesyncd). Blocks, each
// step for at most `timeout`. nullopt where there is no bus, no timedated, or no answer.
std::optional<bool> timedate_synchronised(std::chrono::milliseconds timeout);

}  // namespace otagate::gateway
