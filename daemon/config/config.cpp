#include "config/config.hpp"

#include <algorithm>
#include <tuple>

namespace otagate::config {

std::string Endpoint::to_string() const {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? '[' + address + ']' : address) + ':' + std::to_string(port);
}

bool Endpoint::loopback() const { return address == "::1" || address.starts_with("127."); }

std::string_view to_string(Require require) {
  switch (require) {
    case Require::none: return "none";
    case Require::length: return "length";
    case Require::format: return "format";
    case Require::digest: return "digest";
    case Require::signature: return "signature";
  }
  return "none";
}

bool StoreAssignments::meant(std::string_view device, std::string_view type,
                             const std::vector<std::string>& of_device) const {
  const auto has = [](const std::vector<std::string>& among, std::string_view one) {
    return std::find(among.begin(), among.end(), one) != among.end();
  };
  if (has(devices, device)) return true;
  if (types.empty() && tags.empty()) return devices.empty();
  if (!types.empty() && !has(types, type)) return false;
  return tags.empty() || std::any_of(of_device.begin(), of_device.end(),
                                     [&](const std::string& tag) { return has(tags, tag); });
}

Require Store::require_for(std::string_view type) const {
  const auto found = require_types.find(std::string(type));
  return found == require_types.end() ? require : found->second;
}

namespace {

auto members(const Store& s) {
  return std::tie(s.name, s.plugin, s.enabled, s.priority, s.interval, s.require, s.require_types, s.pattern,
                  s.index, s.metadata, s.prefetch, s.stream_unverified, s.bandwidth, s.timeout, s.retry,
                  s.redirect, s.expiry, s.assignments, s.isolation, s.options);
}

auto members(const Transport& t) { return std::tie(t.name, t.plugin, t.enabled, t.isolation, t.options); }

auto members(const Credential& c) {
  return std::tie(c.name, c.kind, c.user, c.secret, c.secret_source, c.device, c.type, c.stores, c.types,
                  c.gateway);
}

auto members(const Webhook& w) {
  return std::tie(w.name, w.enabled, w.url, w.secret, w.secret_source, w.ca_file, w.timeout, w.events);
}

template <class Instance>
const Instance* named(const std::vector<Instance>& instances, std::string_view name) {
  const auto found =
      std::find_if(instances.begin(), instances.end(), [&](const Instance& i) { return i.name == name; });
  return found == instances.end() ? nullptr : &*found;
}

}  // namespace

bool Store::operator==(const Store& other) const { return members(*this) == members(other); }
bool Transport::operator==(const Transport& other) const { return members(*this) == members(other); }
bool Credential::operator==(const Credential& other) const { return members(*this) == members(other); }
bool Webhook::operator==(const Webhook& other) const { return members(*this) == members(other); }

const Store* Config::find_store(std::string_view name) const { return named(stores, name); }
const Transport* Config::find_transport(std::string_view name) const { return named(transports, name); }

}  // namespace otagate::config
