// The configuration as typed values: what /etc/otagate/otagate.toml and conf.d/*.toml say, checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/secret.hpp"
#include "core/problem.hpp"
#include "core/value.hpp"

namespace otagate::config {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// "127.0.0.1:9464", "[::1]:80": an address literal and a port.
struct Endpoint {
  std::string address;  // without brackets
  std::uint16_t port = 0;

  std::string to_string() const;
  bool loopback() const;
  bool operator==(const Endpoint&) const = default;
};

// [daemon]
struct Daemon {
  std::filesystem::path state_dir = "/var/lib/otagate";
  milliseconds drain_timeout = 30s;
  std::vector<std::filesystem::path> plugin_dirs;  // searched in this order; never empty after load
  std::string name;                                // of this gateway; the host name when not given
  bool operator==(const Daemon&) const = default;
};

// [api]
struct Api {
  std::filesystem::path socket = "/run/otagate/api.sock";
  std::uint32_t mode = 0660;
  std::string group = "otagate";   // "" leaves the group as it is
  std::optional<Endpoint> listen;  // TCP besides the socket; then `token` is set
  Secret token;
  SecretSource token_source;
  bool operator==(const Api&) const = default;
};

// [metrics]
struct Metrics {
  std::optional<Endpoint> listen;
  bool operator==(const Metrics&) const = default;
};

// [cache]
struct Cache {
  std::filesystem::path dir;  // <state_dir>/cache when not given
  std::uint64_t max_size = std::uint64_t{8} << 30;
  // The larger of the two stays free on the cache's file system.
  std::uint64_t min_free = std::uint64_t{256} << 20;
  double min_free_percent = 5;
  milliseconds ttl = 0ms;  // 0: blobs do not expire
  std::uint32_t segment_size = 256 << 10;
  milliseconds scrub_interval = 7 * 24h;              // 0: never
  std::uint64_t scrub_rate = std::uint64_t{4} << 20;  // bytes per second
  std::uint32_t fills = 4;                            // at the same time
  std::uint64_t max_blob_size = std::uint64_t{4} << 30;
  bool operator==(const Cache&) const = default;
};

// [log]
enum class LogFormat { automatic, journal, json, text };
struct Log {
  std::string level = "info";  // trace, debug, info, warn, error, off
  std::map<std::string, std::string> levels;
  LogFormat format = LogFormat::automatic;
  bool operator==(const Log&) const = default;
};

// [events]
struct Events {
  std::uint64_t max_count = 100'000;
  milliseconds max_age = 30 * 24h;
  bool operator==(const Events&) const = default;
};

// [security]
struct Security {
  // CIDR blocks whose peers need no proof of address: loopback, link-local, RFC 1918 and ULA.
  std::vector<std::string> trusted_networks = {"127.0.0.0/8", "::1/128",       "169.254.0.0/16", "fe80::/10",
                                               "10.0.0.0/8",  "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"};
  bool operator==(const Security&) const = default;
};

// [devices]
struct Devices {
  bool auto_register = true;  // a check-in makes a device known
  bool approval = false;      // an operator lets new ones in before anything is offered to them
  // New ones beyond these are refused; what operators enter counts, but is never refused.
  std::uint32_t max = 10'000;
  std::uint32_t max_per_source = 1'000;  // made known from one address since the start
  milliseconds next_check_in = 5min;     // told to devices that have nothing to do
  // Ended attempts are kept so long and so many of each device.
  milliseconds history = 90 * 24h;
  std::uint32_t history_per_device = 20;
  bool local_wins = false;  // deployments made here beat what stores assign
  bool operator==(const Devices&) const = default;
};

// [local]: firmware that an operator has imported
struct Local {
  std::int32_t priority = 1000;  // as of a store: what was brought by hand wins
  // Public keys of minisign; with one, a bundle that none of them has signed is refused.
  std::vector<std::string> bundle_keys;
  bool operator==(const Local&) const = default;
};

// How sure the gateway must be of a blob before it is delivered. Ordered: later is stronger.
enum class Require { none, length, format, digest, signature };
std::string_view to_string(Require require);

enum class MetadataUse { unmatched, always, never };

// An index of firmware inside the store, by object keys.
struct StoreIndex {
  std::string kind = "c8y";
  std::string firmware = "c8y-firmware-info.json";
  std::string versions = "c8y-firmware-versions.json";
  bool operator==(const StoreIndex&) const = default;
};

struct Retry {
  std::uint32_t attempts = 5;  // per request, the first one included
  milliseconds initial = 1s;
  milliseconds max = 5min;
  bool operator==(const Retry&) const = default;
};

// [store.assignments], of a store that says who should get what
struct StoreAssignments {
  bool enabled = true;
  // It is asked about these devices: those listed, and those of one of the types that have one of the tags.
  // Nothing given: about all.
  std::vector<std::string> devices;
  std::vector<std::string> types;
  std::vector<std::string> tags;
  std::optional<bool> local_wins;  // unset: [devices] local_wins
  std::uint32_t attempts = 3;      // of a device, before the store is told of the failure
  bool downgrade = true;           // also to what is older, or has no order
  bool operator==(const StoreAssignments&) const = default;

  bool meant(std::string_view device, std::string_view type, const std::vector<std::string>& of_device) const;
};

// [[store]]
struct Store {
  std::string name;
  std::string plugin;
  bool enabled = true;
  std::int32_t priority = 100;  // higher wins when two stores have the same firmware
  milliseconds interval = 5min;
  Require require = Require::length;
  std::map<std::string, Require> require_types;  // device type -> level, instead of `require`
  std::vector<std::string> pattern;              // path patterns, tried in order; empty: the default ones
  std::vector<StoreIndex> index;
  MetadataUse metadata = MetadataUse::always;
  std::optional<bool> prefetch;   // unset: the plugin decides
  bool stream_unverified = true;  // streaming transports may follow a fill up to its held tail
  std::uint64_t bandwidth = 0;    // bytes per second, 0: no limit
  milliseconds timeout = 30s;     // of one call without progress
  Retry retry;
  bool redirect = false;
  milliseconds expiry = 60min;  // of presigned URLs
  StoreAssignments assignments;
  std::string isolation = "inline";
  Value options = Value::Table{};
  Location where;

  // The level asked for a device type.
  Require require_for(std::string_view type) const;
  bool operator==(const Store& other) const;  // `where` does not count
};

// [[transport]]
struct Transport {
  std::string name;
  std::string plugin;
  bool enabled = true;
  std::string isolation = "inline";
  Value options = Value::Table{};
  Location where;
  bool operator==(const Transport& other) const;  // `where` does not count
};

// [[credential]]
struct Credential {
  enum class Kind { token, basic };
  std::string name;
  Kind kind = Kind::token;
  std::string user;  // basic only
  Secret secret;
  SecretSource secret_source;
  std::optional<std::string> device;  // exactly one of device and type is set
  std::optional<std::string> type;    // "*": any type
  std::vector<std::string> stores;    // what it may see; empty: all
  std::vector<std::string> types;     // beyond its own type; "*": all
  bool gateway = false;               // may check in for other devices
  Location where;
  bool operator==(const Credential& other) const;  // `where` does not count
};

// [[webhook]]
struct Webhook {
  std::string name;
  bool enabled = true;
  std::string url;  // https, or http
  Secret secret;    // empty: not signed
  SecretSource secret_source;
  std::filesystem::path ca_file;  // instead of the system's
  milliseconds timeout = 10s;     // of one delivery
  // Kinds; "attempt." is all that begin so, "*" all.
  std::vector<std::string> events = {"deployment.", "attempt."};
  Location where;
  bool operator==(const Webhook& other) const;  // `where` does not count
};

struct Config {
  Daemon daemon;
  Api api;
  Metrics metrics;
  Cache cache;
  Log log;
  Events events;
  Security security;
  Devices devices;
  Local local;
  std::vector<Store> stores;  // in file order, disabled ones included
  std::vector<Transport> transports;
  std::vector<Credential> credentials;
  std::vector<Webhook> webhooks;

  std::vector<std::filesystem::path> files;  // what was read, in order
  Problems warnings;                         // accepted, but unwise

  const Store* find_store(std::string_view name) const;
  const Transport* find_transport(std::string_view name) const;
};

}  // namespace otagate::config
