#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

int status(const Context& context) {
  const auto answer = context.client().get("/api/v1/status");
  if (!answer) {
    failed(answer.error());
    return kUnreachable;
  }
  const bool ok = text(*answer, "status") == "ok";
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
    return ok ? kOk : kDegraded;
  }
  std::printf("otagated %s on %s: %s, up %s\n", text(*answer, "version").c_str(),
              text(*answer, "name").c_str(), text(*answer, "status").c_str(),
              format_duration(number(*answer, "uptime_ms")).c_str());
  if (!flag(*answer, "clock_synchronised"))
    std::printf("  the clock is not synchronised: nothing expires until it is\n");
  for (const boost::json::value& problem : items(*answer, "problems"))
    std::printf("  - %s\n",
                problem.is_string() ? printable(std::string_view(problem.as_string())).c_str() : "?");

  const auto stores = context.client().get("/api/v1/stores");
  const auto cache = context.client().get("/api/v1/cache");
  const auto plugins = context.client().get("/api/v1/plugins");
  for (const auto* part : {&stores, &cache, &plugins}) {
    if (!*part) return failed(part->error());
  }
  Table table({"NAME", "PLUGIN", "STATE", "DETAIL"});
  for (const boost::json::value& instance : items(*plugins, "instances")) {
    std::string detail = text(instance, "reason");
    for (const boost::json::value& store : items(*stores)) {
      if (text(store, "name") != text(instance, "name") || text(instance, "interface") != "otagate.storage/1")
        continue;
      detail = std::to_string(number(store, "objects")) + " objects, listed " +
               format_ago(number(store, "last_ok_ms"));
    }
    table.add({text(instance, "name"), text(instance, "plugin"), text(instance, "state"), detail});
  }
  table.print();
  std::printf("cache: %s in %s blobs, limit %s; %s fills in progress\n",
              format_bytes(static_cast<std::uint64_t>(number(*cache, "blob_bytes"))).c_str(),
              std::to_string(number(*cache, "blobs")).c_str(),
              format_bytes(static_cast<std::uint64_t>(number(*cache, "max_size"))).c_str(),
              std::to_string(number(*cache, "fills")).c_str());
  return ok ? kOk : kDegraded;
}

int plugins(const Context& context) {
  const auto answer = context.client().get("/api/v1/plugins");
  if (!answer) return failed(answer.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
    return kOk;
  }
  Table table({"PLUGIN", "VERSION", "ABI", "PROVIDES", "NOTE"});
  for (const boost::json::value& plugin : items(*answer, "plugins")) {
    std::string provides;
    for (const boost::json::value& interface : items(plugin, "interfaces")) {
      if (!provides.empty()) provides += ", ";
      provides += interface.is_string() ? printable(std::string_view(interface.as_string())) : "?";
    }
    const std::string problem = text(plugin, "problem");
    const std::string note = !problem.empty()         ? problem
                             : flag(plugin, "loaded") ? text(plugin, "summary")
                                                      : "not in use";
    table.add({text(plugin, "id"), text(plugin, "version"), text(plugin, "abi"), provides, note});
  }
  table.print();
  std::printf("\n");
  Table instances({"INSTANCE", "PLUGIN", "STATE", "CALLS", "MISBEHAVED", "REASON"});
  for (const boost::json::value& instance : items(*answer, "instances")) {
    const boost::json::value& counters = member(instance, "counters");
    const std::int64_t misbehaved = number(counters, "late") + number(counters, "stray") +
                                    number(counters, "oversize") + number(counters, "thrown");
    instances.add({text(instance, "name"), text(instance, "plugin"), text(instance, "state"),
                   std::to_string(number(counters, "calls")), std::to_string(misbehaved),
                   text(instance, "reason")});
  }
  instances.print();
  return kOk;
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("status", "How the daemon does: exit code 0 ok, 1 degraded, 2 unreachable");
  command->callback([&context] { context.run = [&context] { return status(context); }; });
}

void add_plugins(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("plugins", "Plugins and the stores and transports made of them");
  command->callback([&context] { context.run = [&context] { return plugins(context); }; });
}

}  // namespace otagate::cli
