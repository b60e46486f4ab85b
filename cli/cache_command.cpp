#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

int show(const Context& context) {
  const auto stats = context.client().get("/api/v1/cache");
  const auto blobs = context.client().get("/api/v1/blobs");
  const auto fills = context.client().get("/api/v1/fills");
  for (const auto* part : {&stats, &blobs, &fills}) {
    if (!*part) return failed(part->error());
  }
  if (context.json) {
    const boost::json::object all{{"cache", *stats}, {"blobs", items(*blobs)}, {"fills", items(*fills)}};
    std::printf("%s\n", boost::json::serialize(all).c_str());
    return kOk;
  }
  std::printf("%s: %s of %s in %s blobs; %s hits, %s misses, %s evicted\n", text(*stats, "dir").c_str(),
              size_text(*stats, "blob_bytes").c_str(), size_text(*stats, "max_size").c_str(),
              std::to_string(number(*stats, "blobs")).c_str(), std::to_string(number(*stats, "hits")).c_str(),
              std::to_string(number(*stats, "misses")).c_str(),
              std::to_string(number(*stats, "evicted")).c_str());
  Table table({"BLOB", "SIZE", "VERIFIED", "USED", "READERS", "PINNED BY"});
  for (const boost::json::value& blob : items(*blobs)) {
    std::string pins;
    for (const boost::json::value& owner : items(blob, "pins")) {
      if (!pins.empty()) pins += ", ";
      pins += owner.is_string() ? printable(std::string_view(owner.as_string())) : "?";
    }
    table.add({text(blob, "sha256"), size_text(blob, "size"),
               flag(blob, "needs_verification") ? "again at next use" : text(blob, "verified"),
               format_ago(number(blob, "last_used_ms")), std::to_string(number(blob, "readers")), pins});
  }
  table.print();
  Table running({"FILL", "STORE", "SIZE", "PRESENT", "RATE", "READERS", "STATE", "ERROR"});
  for (const boost::json::value& fill : items(*fills)) {
    running.add({text(fill, "key"), text(fill, "store"), size_text(fill, "size"), size_text(fill, "present"),
                 size_text(fill, "bytes_per_second") + "/s", std::to_string(number(fill, "readers")),
                 text(fill, "state"), text(fill, "last_error")});
  }
  running.print();
  return kOk;
}

int act(const Context& context, std::string_view method, const std::string& sha256, const std::string& action,
        const char* outcome) {
  const auto done = context.client().call(method, "/api/v1/blobs/" + encode(sha256) + action);
  if (!done) return failed(done.error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(*done).c_str());
  else
    std::printf("%s %s\n", sha256.c_str(), outcome);
  return kOk;
}

}  // namespace

void add_cache(CLI::App& app, Context& context) {
  CLI::App* cache = app.add_subcommand("cache", "Blobs on this gateway and fills in progress");
  cache->require_subcommand(0, 1);
  cache->callback([cache, &context] {
    if (cache->get_subcommands().empty()) context.run = [&context] { return show(context); };
  });
  auto sha256 = std::make_shared<std::string>();
  CLI::App* command = cache->add_subcommand("show", "Limits, blobs and fills");
  command->callback([&context] { context.run = [&context] { return show(context); }; });
  command = cache->add_subcommand("verify", "Hash a blob now; a bad one is quarantined and fetched again");
  command->add_option("SHA256", *sha256, "Of the blob")->required();
  command->callback([&context, sha256] {
    context.run = [&context, sha256] { return act(context, "POST", *sha256, "/verify", "is sound"); };
  });
  command = cache->add_subcommand("evict", "Remove a blob that nobody reads");
  command->add_option("SHA256", *sha256, "Of the blob")->required();
  command->callback([&context, sha256] {
    context.run = [&context, sha256] { return act(context, "DELETE", *sha256, "", "is evicted"); };
  });
}

}  // namespace otagate::cli
