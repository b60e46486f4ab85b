#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

// Devices that a store which assigns updates was told of, of those it is to be told of.
std::string watches_text(const boost::json::value& store) {
  const boost::json::value& assignments = member(store, "assignments");
  if (assignments.is_null()) return "";
  const std::int64_t watched = number(assignments, "watched");
  const std::int64_t unsaid = number(assignments, "unsaid");
  return std::to_string(watched) + (unsaid == 0 ? "" : " (+" + std::to_string(unsaid) + ")");
}

std::string untold_text(const boost::json::value& store) {
  const boost::json::value& assignments = member(store, "assignments");
  return assignments.is_null() ? "" : std::to_string(number(assignments, "outbox"));
}

int list(const Context& context) {
  const auto answer = context.client().get("/api/v1/stores");
  if (!answer) return failed(answer.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
    return kOk;
  }
  Table table({"STORE", "PLUGIN", "STATE", "OBJECTS", "SKIPPED", "LISTED", "REQUESTS", "READ", "WATCHES",
               "UNTOLD", "ERROR"});
  for (const boost::json::value& store : items(*answer)) {
    const std::string error = text(store, "last_error");
    table.add({text(store, "name"), text(store, "plugin"), text(store, "state"),
               std::to_string(number(store, "objects")), std::to_string(number(store, "skipped")),
               format_ago(number(store, "last_ok_ms")), std::to_string(number(store, "requests")),
               size_text(store, "body_bytes"), watches_text(store), untold_text(store),
               error.empty() ? text(store, "reason") : error});
  }
  table.print();
  return kOk;
}

int sync(const Context& context, const std::string& name) {
  std::vector<std::string> names = {name};
  if (name.empty()) {
    names.clear();
    const auto stores = context.client().get("/api/v1/stores");
    if (!stores) return failed(stores.error());
    for (const boost::json::value& store : items(*stores)) {
      if (text(store, "state") == "running") names.push_back(text(store, "name"));
    }
  }
  int code = kOk;
  for (const std::string& one : names) {
    const auto done = context.client().call("POST", "/api/v1/stores/" + encode(one) + "/sync");
    if (!done) {
      code = failed(done.error().with_context(one));
      continue;
    }
    if (!context.json) std::printf("%s: listed\n", one.c_str());
  }
  if (context.json && code == kOk) std::printf("{\"done\":true}\n");
  return code;
}

int show(const Context& context, const std::string& name, bool skipped) {
  Table table(skipped ? std::vector<std::string>{"KEY", "SIZE", "WHY IT IS NOT FIRMWARE"}
                      : std::vector<std::string>{"KEY", "SIZE", "FIRMWARE"});
  std::string after;
  for (;;) {
    std::string path = "/api/v1/stores/" + encode(name) + "/objects?limit=1000&after=" + encode(after);
    if (skipped) path += "&skipped=true";
    const auto page = context.client().get(path);
    if (!page) return failed(page.error());
    if (context.json) std::printf("%s\n", boost::json::serialize(*page).c_str());
    for (const boost::json::value& object : items(*page)) {
      const std::string why = text(object, "skipped");
      table.add({text(object, "key"), size_text(object, "size"),
                 skipped       ? why
                 : why.empty() ? "yes"
                               : "no: " + why});
    }
    const boost::json::value& next = member(*page, "next");
    if (!next.is_string()) break;
    after = next.as_string();
  }
  if (!context.json) table.print();
  return kOk;
}

}  // namespace

void add_stores(CLI::App& app, Context& context) {
  CLI::App* stores = app.add_subcommand("stores", "Stores and how their listings go");
  stores->require_subcommand(0, 1);
  stores->callback([stores, &context] {
    if (stores->get_subcommands().empty()) context.run = [&context] { return list(context); };
  });
  auto name = std::make_shared<std::string>();
  auto skipped = std::make_shared<bool>(false);
  CLI::App* one = stores->add_subcommand("sync", "List a store now, or all");
  one->add_option("STORE", *name, "Name; all when left out");
  one->callback([&context, name] { context.run = [&context, name] { return sync(context, *name); }; });
  CLI::App* objects = stores->add_subcommand("show", "The objects of a store");
  objects->add_option("STORE", *name, "Name")->required();
  objects->add_flag("--skipped", *skipped, "Only what is not firmware, with the reason");
  objects->callback([&context, name, skipped] {
    context.run = [&context, name, skipped] { return show(context, *name, *skipped); };
  });
}

}  // namespace otagate::cli
