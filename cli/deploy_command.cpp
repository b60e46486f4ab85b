#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "deploy_spec.hpp"
#include "deployment_follow.hpp"
#include "deployment_view.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

struct Options {
  DeployArguments arguments;
  bool dry_run = false;
  bool yes = false;
  bool wait = false;
};

void print_problems(const boost::json::value& answer) {
  for (const boost::json::value& problem : items(answer, "problems"))
    if (problem.is_string()) std::printf("! %s\n", printable(std::string_view(problem.as_string())).c_str());
}

int dry_run(const Context& context, const std::string& body) {
  const auto preview = context.client().call("POST", "/api/v1/deployments?dry_run=true", body);
  if (!preview) return failed(preview.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*preview).c_str());
    return kOk;
  }
  Table table({"DEVICE", "", "WHAT"});
  for (const boost::json::value& line : items(*preview))
    table.add({text(line, "device"), flag(line, "matches") ? "yes" : "no", text(line, "what")});
  table.print();
  print_problems(*preview);
  std::printf("%lld devices would be updated in their turn, %lld would not; nothing was made\n",
              static_cast<long long>(number(*preview, "matching")),
              static_cast<long long>(number(*preview, "skipped")));
  return kOk;
}

// Asks a person, who sees how many devices that is. Programs said what they want.
Result<bool> confirmed(const Context& context, const std::string& body) {
  const auto preview = context.client().call("POST", "/api/v1/deployments?dry_run=true", body);
  if (!preview) return fail(preview.error());
  print_problems(*preview);
  std::printf("This updates %lld devices now known, and skips %lld. Deploy? [y/N] ",
              static_cast<long long>(number(*preview, "matching")),
              static_cast<long long>(number(*preview, "skipped")));
  std::fflush(stdout);
  char answer[16] = {};
  return std::fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] == 'y' || answer[0] == 'Y');
}

int deploy(const Context& context, const Options& options) {
  const auto spec = deploy_spec(options.arguments);
  if (!spec) {
    failed(spec.error());
    return kUsage;
  }
  const std::string body = boost::json::serialize(*spec);
  if (options.dry_run) return dry_run(context, body);
  if (!options.yes && !context.json && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) {
    const auto go = confirmed(context, body);
    if (!go) return failed(go.error());
    if (!*go) {
      std::printf("nothing was made\n");
      return kDegraded;
    }
  }
  const auto made = context.client().call("POST", "/api/v1/deployments", body);
  if (!made) return failed(made.error());
  const std::int64_t id = number(*made, "id");
  if (options.wait) return follow_deployment(context, id);
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*made).c_str());
    return kOk;
  }
  std::printf("deployment %lld: %s to %s; %s\n", static_cast<long long>(id), release_text(*made).c_str(),
              target_text(*made).c_str(), summary_text(*made).c_str());
  std::printf("otagate deployments show %lld --follow\n", static_cast<long long>(id));
  return kOk;
}

void add_policy(CLI::App& command, DeployArguments& to) {
  const std::string group = "How it spreads";
  const char* kAmount = "COUNT|PERCENT";
  command.add_option("--waves", to.waves, "How many devices may have begun, wave by wave: 1,10%,100%")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("AMOUNT,...")
      ->group(group);
  command
      .add_option("--window", to.windows,
                  "Begin in these only, local time: \"Mon-Fri 02:00-04:00\"; again for more")
      ->allow_extra_args(false)
      ->type_name("[DAYS ]FROM-TO")
      ->group(group);
  command
      .add_flag("--window-without-clock", to.window_without_clock,
                "Open also while the clock is not synchronised")
      ->group(group);
  command.add_option("--concurrency", to.concurrency, "Devices at once")->group(group);
  command
      .add_option("--advance-at", to.advance_at, "Of a wave, how many succeed before the next begins [90%]")
      ->type_name(kAmount)
      ->group(group);
  command.add_option("--pause-at", to.pause_at, "Failed devices of a wave at which it pauses")
      ->type_name(kAmount)
      ->group(group);
  command.add_option("--abort-at", to.abort_at, "Failed devices of a wave at which it is aborted")
      ->type_name(kAmount)
      ->group(group);
  command.add_option("--attempts", to.attempts, "Of a device, before it counts as failed [3]")->group(group);
  const std::pair<const char*, std::pair<std::string*, const char*>> times[] = {
      {"--retry-first", {&to.retry_first, "Until the second attempt; doubles after [10m]"}},
      {"--retry-most", {&to.retry_most, "At most so long between attempts [6h]"}},
      {"--silence", {&to.silence, "Nothing heard of an attempt for so long: it failed [30m]"}},
      {"--apply", {&to.apply, "The same once the device applies [1h]"}},
      {"--deadline", {&to.deadline, "Begin nothing so long after its creation"}}};
  for (const auto& [name, what] : times)
    command.add_option(name, *what.first, what.second)->type_name("TIME")->group(group);
  command.add_flag("--approval", to.approval, "Begin only once approved")->group(group);
  command.add_flag("--once", to.once, "Only who matches now")->group(group);
  command.add_flag("--downgrade", to.downgrade, "Also to an older version, or one without an order")
      ->group(group);
  command.add_flag("--stream", to.stream, "Devices may begin before the firmware is verified")->group(group);
}

}  // namespace

void add_deploy(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  DeployArguments& to = options->arguments;
  CLI::App* command = app.add_subcommand("deploy", "Bring firmware to devices");
  command->add_option("FIRMWARE", to.firmware,
                      "NAME[@VERSION] or NAME/VERSION[/TYPE]; the newest when left out");
  command->add_option("--to", to.to, "Who: type=X, tag=X, device=X, everybody; all given tags must be there")
      ->allow_extra_args(false)
      ->type_name("WHO");
  command->add_option("--component", to.component, "What FIRMWARE is for, unless the application");
  command->add_option("--part", to.parts, "One more firmware, for another component")
      ->allow_extra_args(false)
      ->type_name("COMPONENT=NAME@VERSION");
  command->add_option("--store", to.store, "Take it from this store only");
  command->add_option("--name", to.name, "For people");
  command->add_flag("--dry-run", options->dry_run, "Show what it would do, device by device");
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  command->add_flag("--wait", options->wait,
                    "Show its progress until it is over: exit code 0 completed, 3 aborted, 4 paused");
  add_policy(*command, to);
  command->callback(
      [&context, options] { context.run = [&context, options] { return deploy(context, *options); }; });
}

}  // namespace otagate::cli
