#include "api/views.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace otagate::api {

namespace json = boost::json;

namespace {

json::value or_null(const std::optional<Digest>& digest) {
  return digest ? json::value(digest->hex()) : json::value(nullptr);
}

json::value or_null(const std::optional<std::uint64_t>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

// A wall clock's milliseconds, or null for "never".
json::value moment(std::int64_t ms) { return ms == 0 ? json::value(nullptr) : json::value(ms); }

json::array list(const std::vector<std::string>& items) {
  json::array array;
  for (const std::string& item : items) array.emplace_back(item);
  return array;
}

}  // namespace

json::object to_json(const StatusView& status) {
  return {{"status", status.ok ? "ok" : "degraded"},
          {"problems", list(status.problems)},
          {"version", status.version},
          {"name", status.name},
          {"started_ms", status.started_ms},
          {"uptime_ms", status.uptime_ms},
          {"clock_synchronised", status.clock_synchronised},
          {"config_file", status.config_file},
          {"reload_error", or_null(status.reload_error)}};
}

json::object to_json(const plugin::PluginInfo& plugin) {
  return {{"id", plugin.id},
          {"path", plugin.path.string()},
          {"abi", std::to_string(plugin.abi_major) + "." + std::to_string(plugin.abi_minor)},
          {"interfaces", list(plugin.interfaces)},
          {"permissions", list(plugin.permissions)},
          {"sha256", plugin.sha256},
          {"loaded", plugin.loaded},
          {"version", or_null(plugin.version)},
          {"summary", or_null(plugin.summary)},
          {"problem", or_null(plugin.problem)}};
}

json::object to_json(const plugin::InstanceStatus& instance) {
  const plugin::InstanceCounters& counters = instance.counters;
  json::object metrics;
  for (const plugin::Metric& metric : instance.metrics) metrics[metric.name] = metric.value;
  return {{"name", instance.name},
          {"plugin", instance.plugin},
          {"interface", instance.interface},
          {"state", plugin::to_string(instance.state)},
          {"reason", or_null(instance.reason)},
          {"since_ms", moment(instance.since_ms)},
          {"open_calls", instance.open_calls},
          {"open_readers", instance.open_readers},
          {"threads", instance.threads},
          {"counters",
           {{"calls", counters.calls},
            {"completed", counters.completed},
            {"deadlines", counters.deadlines},
            {"cancelled", counters.cancelled},
            {"refused", counters.refused},
            {"late", counters.late},
            {"stray", counters.stray},
            {"oversize", counters.oversize},
            {"thrown", counters.thrown}}},
          {"metrics", std::move(metrics)}};
}

json::object to_json(const StoreView& store) {
  json::value assignments;
  if (store.assignments)
    assignments = json::object{{"watched", store.assignments->watched},
                               {"unsaid", store.assignments->unsaid},
                               {"outbox", store.assignments->outbox},
                               {"last_error", or_null(store.assignments->last_error)}};
  return {{"name", store.config.name},
          {"plugin", store.config.plugin},
          {"enabled", store.config.enabled},
          {"priority", store.config.priority},
          {"require", config::to_string(store.config.require)},
          {"interval_ms", store.config.interval.count()},
          {"state", plugin::to_string(store.state)},
          {"reason", or_null(store.reason)},
          {"phase", or_null(store.phase)},
          {"last_sync_ms", moment(store.last_sync_ms)},
          {"last_ok_ms", moment(store.last_ok_ms)},
          {"last_error", or_null(store.last_error)},
          {"objects", store.objects},
          {"skipped", store.skipped},
          {"requests", store.requests},
          {"body_bytes", store.body_bytes},
          {"errors", store.errors},
          {"open_for_ms", store.open_for_ms},
          {"next_in_ms", store.next_in_ms},
          {"assignments", std::move(assignments)}};
}

json::object to_json(const state::Object& object) {
  return {{"key", object.key},
          {"change_token", object.change_token},
          {"size", or_null(object.size)},
          {"sha256", or_null(object.digest)},
          {"modified_ms", object.modified_ms ? json::value(*object.modified_ms) : json::value(nullptr)},
          {"skipped", object.skipped ? json::value(*object.skipped) : json::value(nullptr)}};
}

json::object to_json(const FirmwareView& view) {
  const state::Firmware& firmware = view.firmware;
  return {{"id", firmware.id},
          {"name", firmware.name},
          {"version", firmware.version},
          {"type", firmware.type},
          {"kind", firmware.kind},
          {"dependency", firmware.dependency ? json::value(*firmware.dependency) : json::value(nullptr)},
          {"format", or_null(firmware.format)},
          {"size", or_null(firmware.size)},
          {"sha256", or_null(view.digest)},
          {"verified", state::to_string(firmware.verified)},
          {"cached", firmware.cached},
          {"store", firmware.store_name},
          {"key", firmware.key},
          {"tag", view.tag},
          {"modified_ms", moment(view.modified_ms)},
          {"shadowed", firmware.shadowed},
          {"conflict", firmware.conflict}};
}

json::object to_json(const cache::BlobRecord& blob) {
  return {{"sha256", blob.digest.hex()},
          {"size", blob.size},
          {"verified", cache::to_string(blob.level)},
          {"last_used_ms", moment(blob.last_used_ms)},
          {"verified_ms", moment(blob.verified_ms)},
          {"pins", list(blob.pins)},
          {"readers", blob.readers},
          {"needs_verification", blob.needs_verification}};
}

json::object to_json(const cache::FillInfo& fill) {
  return {{"id", fill.id},
          {"store", fill.key.store},
          {"key", fill.key.object},
          {"expected_sha256", or_null(fill.key.expected)},
          {"size", fill.size == cache::kUnknownSize ? json::value(nullptr) : json::value(fill.size)},
          {"present", fill.present},
          {"ready", fill.ready},
          {"fetched", fill.fetched},
          {"bytes_per_second", fill.bytes_per_second},
          {"readers", fill.readers},
          {"waiters", fill.waiters},
          {"state", fill.state},
          {"last_error", or_null(fill.last_error)}};
}

json::object to_json(const cache::Stats& stats) {
  return {{"blobs", stats.blobs},
          {"blob_bytes", stats.blob_bytes},
          {"partial_bytes", stats.partial_bytes},
          {"readers", stats.readers},
          {"fills", stats.fills},
          {"hits", stats.hits},
          {"misses", stats.misses},
          {"coalesced", stats.coalesced},
          {"fetched_bytes", stats.fetched_bytes},
          {"fetches", stats.fetches},
          {"fetch_failures", stats.fetch_failures},
          {"fills_completed", stats.fills_completed},
          {"fills_failed", stats.fills_failed},
          {"fills_rejected", stats.fills_rejected},
          {"chunks_refetched", stats.chunks_refetched},
          {"evicted", stats.evicted},
          {"quarantined", stats.quarantined},
          {"scrubbed", stats.scrubbed}};
}

json::object to_json(const state::Event& event) {
  const auto text = [](const std::optional<std::string>& value) {
    return value ? json::value(*value) : json::value(nullptr);
  };
  json::value data = nullptr;
  if (!event.data.empty()) {
    boost::system::error_code error;
    data = json::parse(event.data, error);
    if (error) data = nullptr;
  }
  return {{"sequence", event.sequence},
          {"time_ms", event.wall_ms},
          {"clock_synchronised", event.clock_synchronised},
          {"kind", event.kind},
          {"severity", state::to_string(event.severity)},
          {"instance", text(event.instance)},
          {"firmware", text(event.firmware)},
          {"blob", or_null(event.blob)},
          {"device", text(event.device)},
          {"message", event.message},
          {"data", std::move(data)}};
}

}  // namespace otagate::api
