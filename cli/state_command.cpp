#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "json_access.hpp"
#include "state/maintenance.hpp"
#include "state/open.hpp"

namespace otagate::cli {

namespace {

struct Options {
  std::string database = "/var/lib/otagate/state.db";
  std::string file;
};

int check(const Context& context, const Options& options) {
  const auto report = state::check_file(options.database);
  if (!report) {
    failed(report.error());
    return state::kExitStateUnusable;
  }
  if (context.json) {
    boost::json::array problems;
    for (const std::string& problem : report->problems) problems.emplace_back(problem);
    std::printf("%s\n", boost::json::serialize(boost::json::object{{"schema_version", report->schema_version},
                                                                   {"problems", problems}})
                            .c_str());
  } else if (report->problems.empty()) {
    std::printf("%s is sound, schema version %d\n", options.database.c_str(), report->schema_version);
  } else {
    for (const std::string& problem : report->problems) std::printf("%s\n", printable(problem).c_str());
    std::printf("%s is damaged; bring back a backup: otagate state restore FILE\n", options.database.c_str());
  }
  return report->problems.empty() ? kOk : state::kExitStateCorrupt;
}

int backup(const Context& context, const Options& options) {
  // Reads beside a running daemon, and without one.
  const auto done = state::backup_file(options.database, options.file);
  if (!done) return failed(done.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(boost::json::object{{"path", options.file}}).c_str());
  else
    std::printf("%s written\n", options.file.c_str());
  return kOk;
}

int restore(const Context& context, const Options& options) {
  const std::string from = std::filesystem::absolute(options.file).string();
  // A running daemon restores itself; without one the file is replaced.
  const auto live = context.client().call("POST", "/api/v1/state/restore",
                                          boost::json::serialize(boost::json::object{{"path", from}}));
  if (live) {
    std::printf("restored; the daemon starts anew with it\n");
    return kOk;
  }
  if (live.error().code() != Code::transient) return failed(live.error());
  const auto done = state::restore_file(options.database, from);
  if (!done) return failed(done.error());
  std::printf("restored; what was there is kept as %s.replaced-N\n", options.database.c_str());
  return kOk;
}

}  // namespace

void add_state(CLI::App& app, Context& context) {
  CLI::App* state = app.add_subcommand("state", "The state database: also when no daemon runs");
  state->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = state->add_subcommand(name, help);
    command->add_option("--database", options->database, "The database")
        ->type_name("PATH")
        ->capture_default_str();
    return command;
  };
  add("check", "Say whether it is sound")->callback([&context, options] {
    context.run = [&context, options] { return check(context, *options); };
  });
  CLI::App* command = add("backup", "Write a consistent copy");
  command->add_option("FILE", options->file, "Where to")->required();
  command->callback(
      [&context, options] { context.run = [&context, options] { return backup(context, *options); }; });
  command = add("restore", "Put a backup in its place");
  command->add_option("FILE", options->file, "The backup")->required();
  command->callback(
      [&context, options] { context.run = [&context, options] { return restore(context, *options); }; });
}

}  // namespace otagate::cli
