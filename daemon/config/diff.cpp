#include "config/diff.hpp"

#include <algorithm>
#include <utility>

namespace otagate::config {

namespace {

template <class Instance>
const Instance* running(const std::vector<Instance>& instances, const std::string& name) {
  const auto found = std::find_if(instances.begin(), instances.end(),
                                  [&](const Instance& i) { return i.enabled && i.name == name; });
  return found == instances.end() ? nullptr : &*found;
}

template <class Instance>
InstanceDiff compare(const std::vector<Instance>& old, const std::vector<Instance>& now) {
  InstanceDiff out;
  for (const Instance& instance : now) {
    if (!instance.enabled) continue;
    const Instance* before = running(old, instance.name);
    (!before ? out.added : *before == instance ? out.unchanged : out.changed).push_back(instance.name);
  }
  for (const Instance& instance : old)
    if (instance.enabled && !running(now, instance.name)) out.removed.push_back(instance.name);
  return out;
}

class Settings {
 public:
  explicit Settings(std::vector<std::string>& out) : out_(out) {}
  template <class T>
  Settings& compare(const char* name, const T& old, const T& now) {
    if (!(old == now)) out_.emplace_back(name);
    return *this;
  }

 private:
  std::vector<std::string>& out_;
};

}  // namespace

bool Diff::empty() const {
  const auto same = [](const InstanceDiff& d) {
    return d.added.empty() && d.removed.empty() && d.changed.empty();
  };
  return same(stores) && same(transports) && !credentials_changed && applied.empty() && restart.empty();
}

Diff diff(const Config& old, const Config& now) {
  Diff out;
  out.stores = compare(old.stores, now.stores);
  out.transports = compare(old.transports, now.transports);
  out.credentials_changed = old.credentials != now.credentials;
  // What holds a file, a socket or a format on disk is bound for the life of the process.
  Settings(out.restart)
      .compare("daemon.state_dir", old.daemon.state_dir, now.daemon.state_dir)
      .compare("daemon.plugin_dirs", old.daemon.plugin_dirs, now.daemon.plugin_dirs)
      .compare("daemon.name", old.daemon.name, now.daemon.name)
      .compare("api.socket", old.api.socket, now.api.socket)
      .compare("api.mode", old.api.mode, now.api.mode)
      .compare("api.group", old.api.group, now.api.group)
      .compare("api.listen", old.api.listen, now.api.listen)
      .compare("metrics.listen", old.metrics.listen, now.metrics.listen)
      .compare("cache.dir", old.cache.dir, now.cache.dir)
      .compare("cache.segment_size", old.cache.segment_size, now.cache.segment_size)
      .compare("cache.fills", old.cache.fills, now.cache.fills)
      .compare("log.format", old.log.format, now.log.format);
  Settings(out.applied)
      .compare("daemon.drain_timeout", old.daemon.drain_timeout, now.daemon.drain_timeout)
      .compare("api.token", old.api.token, now.api.token)
      .compare("cache.max_size", old.cache.max_size, now.cache.max_size)
      .compare("cache.min_free", std::pair(old.cache.min_free, old.cache.min_free_percent),
               std::pair(now.cache.min_free, now.cache.min_free_percent))
      .compare("cache.ttl", old.cache.ttl, now.cache.ttl)
      .compare("cache.scrub_interval", old.cache.scrub_interval, now.cache.scrub_interval)
      .compare("cache.scrub_rate", old.cache.scrub_rate, now.cache.scrub_rate)
      .compare("cache.max_blob_size", old.cache.max_blob_size, now.cache.max_blob_size)
      .compare("log.level", old.log.level, now.log.level)
      .compare("log.levels", old.log.levels, now.log.levels)
      .compare("events.max_count", old.events.max_count, now.events.max_count)
      .compare("events.max_age", old.events.max_age, now.events.max_age)
      .compare("security.trusted_networks", old.security.trusted_networks, now.security.trusted_networks)
      .compare("devices", old.devices, now.devices)
      .compare("local", old.local, now.local)
      .compare("webhook", old.webhooks, now.webhooks);
  return out;
}

}  // namespace otagate::config
