// Logging of the daemon: one logger per module, all behind one sink (journald fields, JSON lines or text).
#pragma once

#include <spdlog/logger.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace otagate {

// The logger of a module ("cache", "gateway", an instance's name, ...). Created on first use, kept for
// good. Any thread. Usage: log("cache").warn("fill {} failed: {}", id, error.message()).
spdlog::logger& log(std::string_view module);

// Structured fields of one message beside its text: instance, device, firmware, blob, attempt, code.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Logs one message with fields; empty values are left out.
void log_fields(std::string_view module, spdlog::level::level_enum level, LogFields fields,
                std::string_view message);

// The fields of the message that is being logged on this thread: for sinks, which run synchronously.
LogFields current_log_fields();

// Replaces the sink of all loggers, present and future. Once, at start.
void set_log_sink(std::shared_ptr<spdlog::sinks::sink> sink);

// Sets the level of all loggers and, by name, of single ones; of future ones as well. At run time too.
void set_log_levels(spdlog::level::level_enum all,
                    const std::map<std::string, spdlog::level::level_enum, std::less<>>& single);

}  // namespace otagate
