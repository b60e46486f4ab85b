#include "main/notify.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <string>

namespace otagate {

void notify_ready() { ::sd_notify(0, "READY=1"); }

void notify_reloading() {
  // MONOTONIC_USEC is what Type=notify-reload waits for; Type=notify ignores it.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<unsigned long long>(now.tv_sec) * 1'000'000 +
                    static_cast<unsigned long long>(now.tv_nsec) / 1000;
  ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", usec);
}

void notify_stopping() { ::sd_notify(0, "STOPPING=1"); }

void notify_status(std::string_view text) { ::sd_notify(0, ("STATUS=" + std::string(text)).c_str()); }

void notify_watchdog() { ::sd_notify(0, "WATCHDOG=1"); }

std::uint64_t watchdog_usec() {
  std::uint64_t usec = 0;
  return ::sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}

}  // namespace otagate
