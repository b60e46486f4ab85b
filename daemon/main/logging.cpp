#include "main/logging.hpp"

#include <spdlog/details/os.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/dup_filter_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "core/log.hpp"

namespace otagate {

namespace {

std::string_view view(const spdlog::string_view_t& text) { return {text.data(), text.size()}; }

// One journal entry per message: MESSAGE, PRIORITY, OTAGATE_MODULE and OTAGATE_<FIELD>.
class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::vector<std::string> fields;
    fields.push_back("MESSAGE=" + std::string(view(message.payload)));
    fields.push_back("PRIORITY=" + std::to_string(priority(message.level)));
    fields.emplace_back("SYSLOG_IDENTIFIER=otagated");
    fields.push_back("OTAGATE_MODULE=" + std::string(view(message.logger_name)));
    for (const auto& [key, value] : current_log_fields()) {
      if (value.empty()) continue;
      std::string name = "OTAGATE_";
      for (char c : key) name.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
      fields.push_back(name + "=" + std::string(value));
    }
    std::vector<iovec> parts;
    parts.reserve(fields.size());
    for (std::string& field : fields) parts.push_back({field.data(), field.size()});
    ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
  }
  void flush_() override {}

 private:
  static int priority(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::trace:
      case spdlog::level::debug: return 7;
      case spdlog::level::info: return 6;
      case spdlog::level::warn: return 4;
      case spdlog::level::err: return 3;
      default: return 2;
    }
  }
};

// {"time", "level", "module", fields..., "message"}: one line each on stderr.
class JsonSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const auto since = message.time.time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count();
    const std::tm utc = spdlog::details::os::gmtime(static_cast<std::time_t>(seconds.count()));
    char time[40];
    const std::size_t length = std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    char tail[8];
    std::snprintf(tail, sizeof tail, ".%03dZ", static_cast<int>(millis));

    boost::json::object line;
    line["time"] = std::string(time, length) + tail;
    line["level"] = std::string(view(spdlog::level::to_string_view(message.level)));
    line["module"] = std::string(view(message.logger_name));
    for (const auto& [key, value] : current_log_fields()) {
      if (!value.empty()) line[std::string(key)] = std::string(value);
    }
    line["message"] = std::string(view(message.payload));
    const std::string text = boost::json::serialize(line) + "\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  }
  void flush_() override {}
};

// systemd sets JOURNAL_STREAM to the device and inode of the socket it connected to stderr.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return false;
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) == stream;
}

}  // namespace

void start_logging(config::LogFormat format) {
  if (format == config::LogFormat::automatic) {
    format = stderr_is_journal()            ? config::LogFormat::journal
             : ::isatty(STDERR_FILENO) == 1 ? config::LogFormat::text
                                            : config::LogFormat::json;
  }
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (format == config::LogFormat::journal) {
    sink = std::make_shared<JournalSink>();
  } else if (format == config::LogFormat::json) {
    sink = std::make_shared<JsonSink>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    sink->set_pattern("%H:%M:%S.%e %^%-5l%$ %n: %v");
  }
  auto collapsing = std::make_shared<spdlog::sinks::dup_filter_sink_mt>(std::chrono::seconds(5));
  collapsing->add_sink(std::move(sink));
  set_log_sink(std::move(collapsing));
}

void apply_log_levels(const config::Log& log) {
  std::map<std::string, spdlog::level::level_enum, std::less<>> single;
  for (const auto& [module, level] : log.levels) single.emplace(module, spdlog::level::from_str(level));
  set_log_levels(spdlog::level::from_str(log.level), single);
}

}  // namespace otagate
