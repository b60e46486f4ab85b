#include "core/log.hpp"

#include <spdlog/sinks/sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>

namespace otagate {

namespace {

// Our own registry: spdlog's global one knows no default for loggers that come later.
struct Loggers {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::sink> sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  spdlog::level::level_enum level = spdlog::level::info;
  std::map<std::string, spdlog::level::level_enum, std::less<>> levels;
  std::map<std::string, std::unique_ptr<spdlog::logger>, std::less<>> loggers;

  spdlog::level::level_enum level_of(std::string_view name) const {
    const auto found = levels.find(name);
    return found == levels.end() ? level : found->second;
  }
};

// Never destroyed: threads may log while the process exits.
Loggers& loggers() {
  static Loggers* all = new Loggers;
  return *all;
}

thread_local const LogFields* current_fields = nullptr;

}  // namespace

spdlog::logger& log(std::string_view module) {
  Loggers& all = loggers();
  const std::scoped_lock lock(all.mutex);
  auto found = all.loggers.find(module);
  if (found == all.loggers.end()) {
    auto logger = std::make_unique<spdlog::logger>(std::string(module), all.sink);
    logger->set_level(all.level_of(module));
    logger->flush_on(spdlog::level::warn);
    found = all.loggers.emplace(std::string(module), std::move(logger)).first;
  }
  return *found->second;
}

void log_fields(std::string_view module, spdlog::level::level_enum level, LogFields fields,
                std::string_view message) {
  current_fields = &fields;
  log(module).log(level, message);
  current_fields = nullptr;
}

LogFields current_log_fields() { return current_fields != nullptr ? *current_fields : LogFields{}; }

void set_log_sink(std::shared_ptr<spdlog::sinks::sink> sink) {
  Loggers& all = loggers();
  const std::scoped_lock lock(all.mutex);
  all.sink = std::move(sink);
  for (const auto& [name, logger] : all.loggers) logger->sinks() = {all.sink};
}

void set_log_levels(spdlog::level::level_enum level,
                    const std::map<std::string, spdlog::level::level_enum, std::less<>>& single) {
  Loggers& all = loggers();
  const std::scoped_lock lock(all.mutex);
  all.level = level;
  all.levels = single;
  for (const auto& [name, logger] : all.loggers) logger->set_level(all.level_of(name));
}

}  // namespace otagate
