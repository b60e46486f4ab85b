#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

struct Options {
  bool follow = false;
  int count = 50;
  std::string kind;
};

void print(const boost::json::value& event, bool json) {
  if (json) {
    std::printf("%s\n", boost::json::serialize(event).c_str());
  } else {
    std::string subject;
    for (const char* key : {"instance", "firmware", "device"}) {
      if (const std::string value = text(event, key); !value.empty()) subject += value + ": ";
    }
    std::printf("%s%s %-7s %-18s %s%s\n", format_time(number(event, "time_ms")).c_str(),
                flag(event, "clock_synchronised") ? "" : "?", text(event, "severity").c_str(),
                text(event, "kind").c_str(), subject.c_str(), text(event, "message").c_str());
  }
  std::fflush(stdout);
}

int events(const Context& context, const Options& options) {
  std::string path = "/api/v1/events?limit=" + std::to_string(options.count);
  if (!options.kind.empty()) path += "&kind=" + encode(options.kind);
  const auto page = context.client().get(path);
  if (!page) return failed(page.error());
  boost::json::array newest = items(*page);
  std::reverse(newest.begin(), newest.end());
  std::int64_t last = 0;
  for (const boost::json::value& event : newest) {
    print(event, context.json);
    last = number(event, "sequence");
  }
  if (!options.follow) return kOk;
  const auto ended = context.client().follow(
      "/api/v1/events/stream?after=" + std::to_string(last), [&](std::string_view data) {
        boost::system::error_code error;
        const boost::json::value event = boost::json::parse(data, error);
        if (error) return true;
        const std::string kind = text(event, "kind");
        const bool wanted = options.kind.empty() || kind == options.kind ||
                            (options.kind.back() == '.' && kind.starts_with(options.kind));
        if (wanted) print(event, context.json);
        return true;
      });
  return ended ? kOk : failed(ended.error());
}

}  // namespace

void add_events(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("events", "The event log, newest last; ? marks a time that cannot be trusted");
  command->add_flag("-f,--follow", options->follow, "Go on with events as they happen");
  command->add_option("-n,--lines", options->count, "How many to begin with")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--kind", options->kind, "Only of this kind; with a dot at its end, all that begin so");
  command->callback(
      [&context, options] { context.run = [&context, options] { return events(context, *options); }; });
}

}  // namespace otagate::cli
