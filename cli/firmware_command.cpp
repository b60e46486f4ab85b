#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "commands.hpp"
#include "firmware_spec.hpp"
#include "json_access.hpp"

namespace otagate::cli {

namespace {

struct Filter {
  std::string name, type, store;
  bool all = false;
};

int list(const Context& context, const Filter& filter) {
  Table table({"NAME", "VERSION", "TYPE", "SIZE", "VERIFIED", "CACHED", "FORMAT", "STORE", "NOTE"});
  std::string cursor;
  for (;;) {
    std::string path = "/api/v1/firmware?limit=1000";
    const auto add = [&](std::string_view key, const std::string& value) {
      if (!value.empty()) path += "&" + std::string(key) + "=" + encode(value);
    };
    add("name", filter.name);
    add("type", filter.type);
    add("store", filter.store);
    add("cursor", cursor);
    if (filter.all) path += "&all=true";
    const auto page = context.client().get(path);
    if (!page) return failed(page.error());
    if (context.json) std::printf("%s\n", boost::json::serialize(*page).c_str());
    for (const boost::json::value& item : items(*page)) {
      std::string note = flag(item, "conflict") ? "conflict: another store has other bytes" : "";
      if (flag(item, "shadowed")) note += note.empty() ? "shadowed" : ", shadowed";
      table.add({text(item, "name"), text(item, "version"), text(item, "type"), size_text(item, "size"),
                 text(item, "verified"), flag(item, "cached") ? "yes" : "no", text(item, "format"),
                 text(item, "store"), note});
    }
    const boost::json::value& next = member(*page, "next");
    if (!next.is_string()) break;
    cursor = next.as_string();
  }
  if (!context.json) table.print();
  return kOk;
}

int show(const Context& context, const std::string& spec) {
  const auto answer = context.client().get(firmware_path(spec, ""));
  if (!answer) return failed(answer.error());
  if (context.json) {
    std::printf("%s\n", boost::json::serialize(*answer).c_str());
    return kOk;
  }
  bool first = true;
  for (const boost::json::value& item : items(*answer)) {
    if (!first) std::printf("\n");
    first = false;
    for (const char* key : {"name", "version", "type", "kind", "dependency", "format", "store", "key",
                            "sha256", "verified", "tag"}) {
      if (const std::string value = text(item, key); !value.empty())
        std::printf("%-10s %s\n", key, value.c_str());
    }
    std::printf("%-10s %s\n", "size", size_text(item, "size").c_str());
    std::printf("%-10s %s\n", "cached", flag(item, "cached") ? "yes" : "no");
  }
  return kOk;
}

// The fill that brings `key` of `store`, if it is under way.
std::optional<boost::json::value> fill_of(const Context& context, const std::string& store,
                                          const std::string& key) {
  const auto fills = context.client().get("/api/v1/fills");
  if (!fills) return std::nullopt;
  for (const boost::json::value& fill : items(*fills)) {
    if (text(fill, "store") == store && text(fill, "key") == key) return fill;
  }
  return std::nullopt;
}

void draw(const boost::json::value& fill) {
  const auto present = static_cast<double>(number(fill, "present"));
  const bool sized = !member(fill, "size").is_null() && number(fill, "size") > 0;
  const double fraction = sized ? present / static_cast<double>(number(fill, "size")) : 0;
  std::fprintf(stderr, "\r\033[K%s %3d%% %s of %s, %s/s %s", progress_bar(fraction, 30).c_str(),
               static_cast<int>(fraction * 100), size_text(fill, "present").c_str(),
               size_text(fill, "size").c_str(), size_text(fill, "bytes_per_second").c_str(),
               text(fill, "state").c_str());
}

int fetch(const Context& context, const std::string& spec, bool wait) {
  const auto found = find_firmware(context.client(), spec);
  if (!found) return failed(found.error());
  const boost::json::value& item = *found;

  std::optional<Result<boost::json::value>> outcome;
  std::mutex mutex;
  std::condition_variable done;
  std::thread request([&] {
    auto answer = context.client().call("POST", firmware_path(spec, "/fetch"));
    const std::scoped_lock lock(mutex);
    outcome.emplace(std::move(answer));
    done.notify_all();
  });
  const bool bar = ::isatty(STDERR_FILENO) == 1 && !context.json;
  {
    std::unique_lock lock(mutex);
    // Without --wait the daemon goes on by itself; we stay just long enough to see a refusal.
    const auto patience = wait ? std::chrono::milliseconds(200) : std::chrono::milliseconds(500);
    while (!done.wait_for(lock, patience, [&] { return outcome.has_value(); })) {
      if (!wait) break;
      lock.unlock();
      if (bar) {
        if (const auto fill = fill_of(context, text(item, "store"), text(item, "key"))) draw(*fill);
      }
      lock.lock();
    }
    if (!outcome) {
      std::printf("%s is being fetched; `otagate firmware show %s` says when it is cached\n", spec.c_str(),
                  spec.c_str());
      std::fflush(stdout);
      ::_exit(kOk);  // the request's thread waits for an answer that nobody needs
    }
  }
  request.join();
  if (bar) std::fprintf(stderr, "\r\033[K");
  if (!*outcome) return failed(outcome->error());
  if (context.json)
    std::printf("%s\n", boost::json::serialize(**outcome).c_str());
  else
    std::printf("%s is cached: %s, sha256 %s\n", spec.c_str(), size_text(**outcome, "size").c_str(),
                text(**outcome, "sha256").c_str());
  return kOk;
}

int pin(const Context& context, const std::string& spec, bool set, const std::string& reason) {
  const auto found = context.client().get(firmware_path(spec, ""));
  if (!found) return failed(found.error());
  for (const boost::json::value& item : items(*found)) {
    const std::string sha256 = text(item, "sha256");
    if (sha256.empty())
      return failed(
          Error(Code::invalid, spec + " has no SHA-256 yet; fetch it first: otagate firmware fetch " + spec));
    const std::string body =
        reason.empty() ? "" : boost::json::serialize(boost::json::object{{"reason", reason}});
    const auto done =
        context.client().call(set ? "PUT" : "DELETE", "/api/v1/blobs/" + sha256 + "/pin", set ? body : "");
    if (!done) return failed(done.error());
    if (!context.json) std::printf("%s %s\n", sha256.c_str(), set ? "is pinned" : "is not pinned any more");
  }
  if (context.json) std::printf("{\"done\":true}\n");
  return kOk;
}

}  // namespace

void add_firmware(CLI::App& app, Context& context) {
  CLI::App* firmware = app.add_subcommand("firmware", "The catalog");
  firmware->require_subcommand(0, 1);
  auto filter = std::make_shared<Filter>();
  auto spec = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  auto wait = std::make_shared<bool>(false);
  firmware->callback([firmware, &context, filter] {
    if (firmware->get_subcommands().empty())
      context.run = [&context, filter] { return list(context, *filter); };
  });
  CLI::App* command = firmware->add_subcommand("list", "What the stores have");
  command->add_option("--name", filter->name, "Only of this name");
  command->add_option("--type", filter->type, "Only for this device type");
  command->add_option("--store", filter->store, "Only of this store");
  command->add_flag("--all", filter->all, "Also what another store's firmware of the same name hides");
  command->callback(
      [&context, filter] { context.run = [&context, filter] { return list(context, *filter); }; });

  command = firmware->add_subcommand("show", "All that is known about one");
  command->add_option("FIRMWARE", *spec, kFirmwareSpec)->required();
  command->callback([&context, spec] { context.run = [&context, spec] { return show(context, *spec); }; });
  command = firmware->add_subcommand("fetch", "Bring it into the cache");
  command->add_option("FIRMWARE", *spec, kFirmwareSpec)->required();
  command->add_flag("--wait", *wait, "Until it is verified there, with a progress bar on a terminal");
  command->callback([&context, spec, wait] {
    context.run = [&context, spec, wait] { return fetch(context, *spec, *wait); };
  });
  command = firmware->add_subcommand("pin", "Keep its blob from eviction");
  command->add_option("FIRMWARE", *spec, kFirmwareSpec)->required();
  command->add_option("--reason", *reason, "Why, for those who come after you");
  command->callback([&context, spec, reason] {
    context.run = [&context, spec, reason] { return pin(context, *spec, true, *reason); };
  });
  command = firmware->add_subcommand("unpin", "Let its blob be evicted again");
  command->add_option("FIRMWARE", *spec, kFirmwareSpec)->required();
  command->callback(
      [&context, spec] { context.run = [&context, spec] { return pin(context, *spec, false, ""); }; });
  add_imports(*firmware, context);
}

}  // namespace otagate::cli
