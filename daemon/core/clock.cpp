#include "core/clock.hpp"

#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace otagate {

namespace {
std::atomic<bool> reported = false;

std::int64_t read_ms(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}
}  // namespace

std::int64_t wall_ms() { return read_ms(CLOCK_REALTIME); }

std::int64_t steady_ms() { return read_ms(CLOCK_BOOTTIME); }

bool clock_synchronised() {
  timex state{};
  if (::adjtimex(&state) != -1) return (state.status & STA_UNSYNC) == 0;
  return reported || ::access("/run/systemd/timesync/synchronized", F_OK) == 0;
}

bool kernel_clock_readable() {
  timex state{};
  return ::adjtimex(&state) != -1;
}

void report_clock_synchronised(bool synchronised) { reported = synchronised; }

}  // namespace otagate
