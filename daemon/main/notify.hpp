// The service manager's side of the daemon: sd_notify(3).
#pragma once

#include <cstdint>
#include <string_view>

namespace otagate {

// No-ops without a service manager.
void notify_ready();
void notify_reloading();
void notify_stopping();
void notify_status(std::string_view text);
void notify_watchdog();

// Microseconds after which the service manager expects a sign of life; 0: it does not.
std::uint64_t watchdog_usec();

}  // namespace otagate
