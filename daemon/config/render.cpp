#include "config/render.hpp"

#include <boost/json.hpp>
#include <cstdio>

#include "core/redact.hpp"
#include "core/units.hpp"

namespace otagate::config {

namespace json = boost::json;

namespace {

json::value secret(const SecretSource& source) {
  switch (source.kind) {
    case SecretSource::Kind::none: return nullptr;
    case SecretSource::Kind::file: return {{"file", source.name}};
    case SecretSource::Kind::credential: return {{"credential", source.name}};
    case SecretSource::Kind::env: return {{"env", source.name}};
  }
  return nullptr;
}

template <class Texts>
json::array list(const Texts& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(std::string(text));
  return out;
}

json::value endpoint(const std::optional<Endpoint>& value) {
  return value ? json::value(value->to_string()) : json::value(nullptr);
}

json::value text_or_null(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

json::value redacted(const Value& options) {
  boost::system::error_code error;
  return json::parse(to_redacted_json(options), error);
}

json::object store(const Store& s) {
  static constexpr const char* kMetadata[] = {"unmatched", "always", "never"};
  json::object types;
  for (const auto& [type, level] : s.require_types) types[type] = std::string(to_string(level));
  json::array index;
  for (const StoreIndex& i : s.index)
    index.push_back({{"kind", i.kind}, {"firmware", i.firmware}, {"versions", i.versions}});
  return {
      {"name", s.name},
      {"plugin", s.plugin},
      {"enabled", s.enabled},
      {"priority", s.priority},
      {"interval", format_duration(s.interval)},
      {"require", std::string(to_string(s.require))},
      {"require_types", types},
      {"pattern", list(s.pattern)},
      {"index", index},
      {"metadata", kMetadata[static_cast<int>(s.metadata)]},
      {"prefetch", s.prefetch ? json::value(*s.prefetch) : json::value(nullptr)},
      {"stream_unverified", s.stream_unverified},
      {"bandwidth", s.bandwidth ? json::value(format_size(s.bandwidth) + "/s") : json::value(nullptr)},
      {"timeout", format_duration(s.timeout)},
      {"retry",
       {{"attempts", s.retry.attempts},
        {"initial", format_duration(s.retry.initial)},
        {"max", format_duration(s.retry.max)}}},
      {"redirect", s.redirect},
      {"expiry", format_duration(s.expiry)},
      {"assignments",
       {{"enabled", s.assignments.enabled},
        {"devices", list(s.assignments.devices)},
        {"types", list(s.assignments.types)},
        {"tags", list(s.assignments.tags)},
        {"local_wins",
         s.assignments.local_wins ? json::value(*s.assignments.local_wins) : json::value(nullptr)},
        {"attempts", s.assignments.attempts},
        {"downgrade", s.assignments.downgrade}}},
      {"isolation", s.isolation},
      {"options", redacted(s.options)},
      {"where", s.where.to_string()},
  };
}

json::object transport(const Transport& t) {
  return {{"name", t.name},
          {"plugin", t.plugin},
          {"enabled", t.enabled},
          {"isolation", t.isolation},
          {"options", redacted(t.options)},
          {"where", t.where.to_string()}};
}

json::object credential(const Credential& c) {
  return {{"name", c.name},
          {"kind", c.kind == Credential::Kind::token ? "token" : "basic"},
          {"user", c.user.empty() ? json::value(nullptr) : json::value(c.user)},
          {"secret", secret(c.secret_source)},
          {"device", text_or_null(c.device)},
          {"type", text_or_null(c.type)},
          {"stores", list(c.stores)},
          {"types", list(c.types)},
          {"gateway", c.gateway},
          {"where", c.where.to_string()}};
}

json::object webhook(const Webhook& w) {
  return {{"name", w.name},
          {"enabled", w.enabled},
          {"url", redacted_text("", w.url)},
          {"secret", secret(w.secret_source)},
          {"ca_file", w.ca_file.empty() ? json::value(nullptr) : json::value(w.ca_file.string())},
          {"timeout", format_duration(w.timeout)},
          {"events", list(w.events)},
          {"where", w.where.to_string()}};
}

template <class Instance, class Render>
json::array all(const std::vector<Instance>& instances, Render render) {
  json::array out;
  for (const Instance& instance : instances) out.push_back(render(instance));
  return out;
}

// "256MiB", "5%" or "256MiB or 5%, whichever is more".
std::string min_free(const Cache& cache) {
  char percent[32];
  std::snprintf(percent, sizeof percent, "%g%%", cache.min_free_percent);
  if (cache.min_free_percent <= 0) return format_size(cache.min_free);
  if (cache.min_free == 0) return percent;
  return format_size(cache.min_free) + " or " + percent + ", whichever is more";
}

json::object cache(const Cache& c) {
  return {{"dir", c.dir.string()},
          {"max_size", format_size(c.max_size)},
          {"min_free", min_free(c)},
          {"ttl", format_duration(c.ttl)},
          {"segment_size", format_size(c.segment_size)},
          {"scrub_interval", format_duration(c.scrub_interval)},
          {"scrub_rate", format_size(c.scrub_rate) + "/s"},
          {"fills", c.fills},
          {"max_blob_size", format_size(c.max_blob_size)}};
}

json::object log(const Log& l) {
  static constexpr const char* kFormats[] = {"auto", "journal", "json", "text"};
  json::object levels;
  for (const auto& [module, level] : l.levels) levels[module] = level;
  return {{"level", l.level}, {"levels", levels}, {"format", kFormats[static_cast<int>(l.format)]}};
}

}  // namespace

std::string to_redacted_json(const Config& config) {
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", config.api.mode & 0777u);
  json::array warnings;
  for (const Problem& warning : config.warnings) warnings.emplace_back(warning.to_string());
  const json::object out = {
      {"daemon",
       {{"state_dir", config.daemon.state_dir.string()},
        {"drain_timeout", format_duration(config.daemon.drain_timeout)},
        {"plugin_dirs", list(config.daemon.plugin_dirs)},
        {"name", config.daemon.name}}},
      {"api",
       {{"socket", config.api.socket.string()},
        {"mode", mode},
        {"group", config.api.group},
        {"listen", endpoint(config.api.listen)},
        {"token", secret(config.api.token_source)}}},
      {"metrics", {{"listen", endpoint(config.metrics.listen)}}},
      {"cache", cache(config.cache)},
      {"log", log(config.log)},
      {"events",
       {{"max_count", config.events.max_count}, {"max_age", format_duration(config.events.max_age)}}},
      {"devices",
       {{"auto_register", config.devices.auto_register},
        {"approval", config.devices.approval},
        {"max", config.devices.max},
        {"max_per_source", config.devices.max_per_source},
        {"next_check_in", format_duration(config.devices.next_check_in)},
        {"history", format_duration(config.devices.history)},
        {"history_per_device", config.devices.history_per_device},
        {"local_wins", config.devices.local_wins}}},
      {"local", {{"priority", config.local.priority}, {"bundle_keys", list(config.local.bundle_keys)}}},
      {"security", {{"trusted_networks", list(config.security.trusted_networks)}}},
      {"store", all(config.stores, store)},
      {"transport", all(config.transports, transport)},
      {"credential", all(config.credentials, credential)},
      {"webhook", all(config.webhooks, webhook)},
      {"files", list(config.files)},
      {"warnings", warnings},
  };
  return json::serialize(out);
}

}  // namespace otagate::config
