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

// True once the clock is disciplined: by adjtimex(2). Where a sandbox forbids that (ProtectClock= forbids
// also reading), by the mark that systemd-timesyncd leaves or by what was last reported.
bool clock_synchronised();

// Whether adjtimex(2) may be asked; else somebody should report.
bool kernel_clock_readable();
// What another process says about the clock. Any thread.
void report_clock_synchronised(bool synchronised);

}  // namespace otagate
