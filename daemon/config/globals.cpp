#include <arpa/inet.h>
#include <unistd.h>

#include <charconv>
#include <utility>

#include "config/sections.hpp"
#include "core/minisign.hpp"
#include "core/units.hpp"

namespace otagate::config {

namespace {

constexpr std::string_view kLocalPluginDir = "/usr/local/lib/otagate/plugins";
const milliseconds kForever = 3650 * 24h;

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || !name[0]) return "otagate";
  return name;
}

void read_daemon(TableReader reader, Daemon& daemon) {
  reader.path("state_dir", daemon.state_dir);
  reader.duration("drain_timeout", daemon.drain_timeout, 0ms, 10min);
  reader.paths("plugin_dirs", daemon.plugin_dirs);
  if (daemon.plugin_dirs.empty()) {
    if (reader.has("plugin_dirs"))
      reader.problem("plugin_dirs", "is empty", "name a folder or remove the line");
    daemon.plugin_dirs = {OTAGATE_PACKAGED_PLUGIN_DIR};
    if (daemon.plugin_dirs.front() != kLocalPluginDir) daemon.plugin_dirs.emplace_back(kLocalPluginDir);
  }
  reader.text("name", daemon.name, 64);
  if (daemon.name.empty()) daemon.name = host_name();
  reader.done();
}

// "0660": up to four octal digits.
void read_mode(TableReader& reader, std::uint32_t& out) {
  std::string text;
  if (const Value* value = reader.raw("mode"); value && value->is_int())
    return reader.problem("mode", "is a number", "write it in quotes: mode = \"0660\"");
  reader.text("mode", text);
  if (text.empty()) return;
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc{} || end != text.data() + text.size() || mode > 0777)
    return reader.problem("mode", "\"" + text.substr(0, 16) + "\" is not a file mode",
                          "write mode = \"0660\"");
  if (mode & 0007)
    return reader.problem("mode", "would let every user of this machine administer the gateway",
                          "write mode = \"0660\" and add users to the group");
  out = mode;
}

void read_api(TableReader reader, Api& api, ReadContext& context) {
  reader.path("socket", api.socket);
  // sockaddr_un holds 107 bytes and the NUL.
  if (api.socket.native().size() > 107)
    reader.problem("socket", "is longer than 107 bytes", "shorten the path");
  read_mode(reader, api.mode);
  reader.text("group", api.group, 64);
  reader.endpoint("listen", api.listen);
  reader.secret("token", api.token, api.token_source);
  if (api.listen && !reader.has("token"))
    reader.problem("listen", "needs a token, since a TCP port has no file mode",
                   "write token = { file = \"/etc/otagate/api-token\" } below it");
  if (!api.token.empty() && api.token.reveal().size() < 16)
    reader.problem("token", "is shorter than 16 bytes", "make one with: openssl rand -hex 32");
  if (api.listen && !api.listen->loopback())
    context.warnings.push_back({reader.where(), "api.listen",
                                "the admin token crosses the network in clear on " + api.listen->to_string(),
                                "listen on 127.0.0.1 and use ssh -L, or put a TLS proxy in front"});
  reader.done();
}

// "256MiB" keeps that many bytes free, "5%" that share of the file system.
void read_min_free(TableReader& reader, Cache& cache) {
  const Value* value = reader.raw("min_free");
  const std::string* text = value ? value->as_string() : nullptr;
  if (text && text->ends_with('%')) {
    double percent = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size() - 1, percent);
    if (error != std::errc{} || end != text->data() + text->size() - 1 || !(percent >= 0 && percent <= 90))
      return reader.problem("min_free", "is not a share from 0% to 90%",
                            "write for example min_free = \"5%\"");
    cache.min_free = 0;
    cache.min_free_percent = percent;
  } else if (value) {
    reader.size("min_free", cache.min_free, 0);
    cache.min_free_percent = 0;
  }
}

void read_cache(TableReader reader, Cache& cache, const Daemon& daemon) {
  cache.dir = daemon.state_dir / "cache";
  reader.path("dir", cache.dir);
  reader.size("max_size", cache.max_size, 1 << 20);
  read_min_free(reader, cache);
  reader.duration("ttl", cache.ttl, 0ms, kForever);
  if (cache.ttl != 0ms && cache.ttl < 1min)
    reader.problem("ttl", "is shorter than a minute", "write 0 for none");
  reader.size("segment_size", cache.segment_size, 64 << 10, 16 << 20);
  if (cache.segment_size % (64 << 10) != 0)
    reader.problem("segment_size", "is not a multiple of 64KiB", "write segment_size = \"256KiB\"");
  reader.duration("scrub_interval", cache.scrub_interval, 0ms, kForever);
  reader.rate("scrub_rate", cache.scrub_rate);
  reader.integer("fills", cache.fills, 1, 64);
  reader.size("max_blob_size", cache.max_blob_size, 1 << 10, std::uint64_t{1} << 40);
  if (reader.has("max_blob_size") && cache.max_blob_size > cache.max_size)
    reader.problem("max_blob_size", "is more than max_size (" + format_size(cache.max_size) + ")",
                   "such a blob could never be cached; lower it or raise max_size");
  reader.done();
}

const std::vector<std::string> kLevels = {"trace", "debug", "info", "warn", "error", "off"};

void read_log(TableReader reader, Log& log, ReadContext& context) {
  if (const auto level = reader.choice("level", kLevels)) log.level = kLevels[*level];
  static constexpr LogFormat kFormats[] = {LogFormat::automatic, LogFormat::journal, LogFormat::json,
                                           LogFormat::text};
  if (const auto format = reader.choice("format", {"auto", "journal", "json", "text"}))
    log.format = kFormats[*format];
  const Value* levels = reader.raw("levels");
  TableReader by_module(levels, "log.levels", context);
  if (levels && levels->is_table()) {
    for (const Member& member : *levels->as_table()) {
      if (member.key.empty() || member.key.size() > 64)
        by_module.problem_at(member.value, "", "a module's name has 1 to 64 characters");
      else if (const auto level = by_module.choice(member.key, kLevels))
        log.levels[member.key] = kLevels[*level];
    }
  }
  reader.done();
}

bool valid_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  if (address.find('\0') != std::string::npos) return false;
  unsigned char binary[16];
  int bits = 0;
  if (::inet_pton(AF_INET, address.c_str(), binary) == 1)
    bits = 32;
  else if (::inet_pton(AF_INET6, address.c_str(), binary) == 1)
    bits = 128;
  else
    return false;
  if (slash == std::string::npos) return true;
  int prefix = 0;
  const char* first = text.data() + slash + 1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, prefix);
  return error == std::errc{} && end == last && prefix >= 0 && prefix <= bits;
}

void read_security(TableReader reader, Security& security) {
  reader.texts("trusted_networks", security.trusted_networks);
  for (const std::string& network : security.trusted_networks)
    if (!valid_network(network))
      reader.problem("trusted_networks", "\"" + network.substr(0, 64) + "\" is not a network",
                     "write for example \"192.168.0.0/16\" or \"fd00::/8\"");
  reader.done();
}

void read_devices(TableReader reader, Devices& devices) {
  reader.boolean("auto_register", devices.auto_register);
  reader.boolean("approval", devices.approval);
  reader.integer("max", devices.max, 1, 1'000'000);
  reader.integer("max_per_source", devices.max_per_source, 1, 1'000'000);
  reader.duration("next_check_in", devices.next_check_in, 1s, 7 * 24h);
  reader.duration("history", devices.history, 1h, kForever);
  reader.integer("history_per_device", devices.history_per_device, 1, 10'000);
  reader.boolean("local_wins", devices.local_wins);
  reader.done();
}

void read_local(TableReader reader, Local& local) {
  reader.integer("priority", local.priority, -1'000'000, 1'000'000);
  reader.texts("bundle_keys", local.bundle_keys);
  for (const std::string& key : local.bundle_keys) {
    if (const auto good = MinisignKey::parse(key); !good)
      reader.problem("bundle_keys", "\"" + key.substr(0, 64) + "\" " + good.error().message(), "");
  }
  reader.done();
}

}  // namespace

void read_globals(TableReader& root, Config& config, ReadContext& context) {
  read_daemon(TableReader(root.raw("daemon"), "daemon", context), config.daemon);
  read_api(TableReader(root.raw("api"), "api", context), config.api, context);
  TableReader metrics(root.raw("metrics"), "metrics", context);
  metrics.endpoint("listen", config.metrics.listen);
  metrics.done();
  read_cache(TableReader(root.raw("cache"), "cache", context), config.cache, config.daemon);
  read_log(TableReader(root.raw("log"), "log", context), config.log, context);
  TableReader events(root.raw("events"), "events", context);
  events.integer("max_count", config.events.max_count, 100, 100'000'000);
  events.duration("max_age", config.events.max_age, 1h, kForever);
  events.done();
  read_security(TableReader(root.raw("security"), "security", context), config.security);
  read_devices(TableReader(root.raw("devices"), "devices", context), config.devices);
  read_local(TableReader(root.raw("local"), "local", context), config.local);
  if (config.api.listen && config.metrics.listen && *config.api.listen == *config.metrics.listen)
    metrics.problem("listen", config.metrics.listen->to_string() + " is api.listen too",
                    "give one of them another port");
}

}  // namespace otagate::config
