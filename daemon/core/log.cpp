#include "core/log.hpp"

#include <spdlog/spdlog.h>

#include <mutex>
#include <string>

namespace otagate {

spdlog::logger& log(std::string_view module) {
  static std::mutex mutex;
  const std::string name(module);
  const std::scoped_lock lock(mutex);
  std::shared_ptr<spdlog::logger> logger = spdlog::get(name);
  if (!logger) {
    logger = spdlog::default_logger()->clone(name);
    spdlog::register_logger(logger);
  }
  return *logger;
}

}  // namespace otagate
