#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "deployment_follow.hpp"
#include "deployment_view.hpp"
#include "fleet_tables.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

struct Options {
  std::int64_t id = 0;
  bool follow = false;
  bool open = false;
  int count = 0;
  std::string why;
  std::string state;
  std::string device;
};

std::string path_of(const Options& options, const std::string& rest = "") {
  return "/api/v1/deployments/" + std::to_string(options.id) + rest;
}

// "hawkbit 17": the store that asked for it, and its id there.
std::string origin_text(const boost::json::value& deployment) {
  const std::string origin = text(deployment, "origin");
  return origin.empty() ? "" : origin + " " + text(deployment, "external_id");
}

int list(const Context& context, const Options& options) {
  Table table({"ID", "NAME", "FIRMWARE", "TO", "STATE", "WAVE", "UPDATED", "RUNNING", "WAITING", "FAILED",
               "MADE", "ORIGIN"});
  const std::string path =
      std::string("/api/v1/deployments?limit=1000") + (options.open ? "&over=false" : "");
  const auto done = each_page(context, path, "before", [&](const boost::json::value& page) {
    for (const boost::json::value& item : items(page)) {
      const boost::json::value& counts = member(item, "counts");
      table.add({std::to_string(number(item, "id")), text(item, "name"), release_text(item),
                 target_text(item), text(item, "state"),
                 std::to_string(number(item, "wave") + 1) + "/" + std::to_string(items(item, "waves").size()),
                 std::to_string(number(counts, "succeeded")), std::to_string(number(counts, "running")),
                 std::to_string(number(counts, "waiting")), std::to_string(number(counts, "failed")),
                 format_time(number(item, "created_ms")), origin_text(item)});
    }
  });
  if (!done) return failed(done.error());
  if (!context.json) table.print();
  return kOk;
}

int show(const Context& context, const Options& options) {
  if (options.follow) return follow_deployment(context, options.id);
  const auto deployment = context.client().get(path_of(options));
  if (!deployment) return failed(deployment.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*deployment).c_str());
    return kOk;
  }
  const int width = terminal_width() == 0 ? 200 : terminal_width();
  for (const std::string& line : progress_lines(*deployment, {}, width)) std::printf("%s\n", line.c_str());
  std::printf("  made %s", format_time(number(*deployment, "created_ms")).c_str());
  if (const std::int64_t ended = number(*deployment, "ended_ms"); ended != 0)
    std::printf(", ended %s", format_time(ended).c_str());
  if (const std::string origin = text(*deployment, "origin"); !origin.empty())
    std::printf(", asked for by %s as %s", origin.c_str(), text(*deployment, "external_id").c_str());
  std::printf("\n  policy %s\n",
              printable(boost::json::serialize(member(member(*deployment, "spec"), "policy"))).c_str());
  return kOk;
}

int act(const Context& context, const Options& options, const std::string& action) {
  const std::string body =
      options.why.empty() ? "" : boost::json::serialize(boost::json::object{{"why", options.why}});
  const auto deployment = context.client().call("POST", path_of(options, "/" + action), body);
  if (!deployment) return failed(deployment.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*deployment).c_str());
  else
    std::printf("deployment %lld: %s\n", static_cast<long long>(options.id),
                summary_text(*deployment).c_str());
  return kOk;
}

int devices(const Context& context, const Options& options) {
  Table table({"DEVICE", "STATE", "ATTEMPTS", "LAST ATTEMPT", "MESSAGE"});
  const auto done = each_page(
      context, path_of(options, "/devices?limit=1000"), "after", [&](const boost::json::value& page) {
        for (const boost::json::value& item : items(page)) {
          if (!options.state.empty() && text(item, "state") != options.state) continue;
          const boost::json::value& attempt = member(item, "attempt");
          table.add({text(item, "device"), text(item, "state"), std::to_string(number(item, "attempts")),
                     text(attempt, "state"), text(attempt, "message")});
        }
      });
  if (!done) return failed(done.error());
  if (!context.json) table.print();
  return kOk;
}

int attempts(const Context& context, const Options& options) {
  std::string path = options.id != 0 ? path_of(options, "/attempts?") : "/api/v1/attempts?";
  path += "limit=" + std::to_string(options.count);
  if (!options.device.empty())
    path = "/api/v1/attempts?limit=" + std::to_string(options.count) + "&device=" + encode(options.device) +
           (options.id != 0 ? "&deployment=" + std::to_string(options.id) : "");
  const auto page = context.client().get(path);
  if (!page) return failed(page.error());
  print_attempts(context, *page);
  return kOk;
}

}  // namespace

void add_deployments(CLI::App& app, Context& context) {
  CLI::App* deployments = app.add_subcommand("deployments", "Deployments and how far they are");
  deployments->require_subcommand(0, 1);
  auto options = std::make_shared<Options>();
  const auto add = [&context, options](CLI::App& command, int (*run)(const Context&, const Options&)) {
    command.callback([&context, options, run] {
      context.run = [&context, options, run] { return run(context, *options); };
    });
  };
  deployments->callback([deployments, &context, options] {
    if (deployments->get_subcommands().empty())
      context.run = [&context, options] { return list(context, *options); };
  });
  CLI::App* command = deployments->add_subcommand("list", "All of them, newest first");
  command->add_flag("--open", options->open, "Without those that have ended");
  add(*command, list);
  command = deployments->add_subcommand("show", "One of them: its waves, its counts, what keeps it");
  command->add_option("ID", options->id, "Number of the deployment")->required();
  command->add_flag("-f,--follow", options->follow,
                    "Until it is over: exit code 0 completed, 3 aborted, 4 paused");
  add(*command, show);
  command = deployments->add_subcommand("devices", "Its devices, one by one");
  command->add_option("ID", options->id, "Number of the deployment")->required();
  command->add_option("--state", options->state, "Only those in this state")
      ->check(CLI::IsMember({"waiting", "running", "backing_off", "succeeded", "failed", "current"}));
  add(*command, devices);
  command = deployments->add_subcommand("attempts", "Attempts, newest first; of all deployments without ID");
  command->add_option("ID", options->id, "Number of the deployment");
  command->add_option("--device", options->device, "Only of this device");
  options->count = 50;
  command->add_option("-n,--lines", options->count, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add(*command, attempts);
  const std::pair<const char*, const char*> actions[] = {
      {"approve", "Let it begin"},
      {"pause", "Begin nothing new; what runs goes on"},
      {"resume", "Go on; failures so far are forgiven"},
      {"abort", "End it; only devices that apply already go on"},
      {"retry", "Let failed devices try again"}};
  for (const auto& [name, what] : actions) {
    command = deployments->add_subcommand(name, what);
    command->add_option("ID", options->id, "Number of the deployment")->required();
    command->add_option("--why", options->why, "For those who come after you");
    command->callback([&context, options, action = std::string(name)] {
      context.run = [&context, options, action] { return act(context, *options, action); };
    });
  }
}

}  // namespace otagate::cli
