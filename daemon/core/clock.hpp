// Time as the daemon sees it. A Pi without an RTC boots in 1970: wall time is a hint
// until the kernel says it is synchronised, order comes from sequence numbers.
#pragma once

#include <chrono>
#include <cstdint>

namespace otagate {

// Milliseconds since the Unix epoch, by the system clock, however wrong it is.
std::int64_t wall_ms();

// Milliseconds that only ever grow while the machine is up (CLOCK_BOOTTIME): for deadlines.
std::int64_t steady_ms();

// True once the clock is disciplined: by adjtimex(2), or where a sandbox forbids that (ProtectClock=),
// by the mark that systemd-timesyncd leaves.
bool clock_synchronised();

}  // namespace otagate
