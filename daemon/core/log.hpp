// Logging of the daemon: one logger per module, all behind one sink (journald fields or JSON lines).
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string_view>

namespace otagate {

// The logger of a module ("cache", "gateway", a plugin instance's name, ...). Created on first use,
// kept for good. Any thread. Usage: log("cache").warn("fill {} failed: {}", id, error.message()).
spdlog::logger& log(std::string_view module);

}  // namespace otagate
