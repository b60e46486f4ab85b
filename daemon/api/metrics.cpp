#include "api/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>

#include "core/clock.hpp"

namespace otagate::api {

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Gathers families by name, in order of first use.
class Collector {
 public:
  void counter(const std::string& name, const std::string& help, double value, const Labels& labels = {}) {
    prometheus::ClientMetric& metric = add(name, help, prometheus::MetricType::Counter, labels);
    metric.counter.value = value;
  }
  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {}) {
    prometheus::ClientMetric& metric = add(name, help, prometheus::MetricType::Gauge, labels);
    metric.gauge.value = value;
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  prometheus::ClientMetric& add(const std::string& name, const std::string& help, prometheus::MetricType type,
                                const Labels& labels) {
    auto found = std::find_if(families_.begin(), families_.end(),
                              [&](const prometheus::MetricFamily& family) { return family.name == name; });
    if (found == families_.end()) {
      found = families_.insert(families_.end(), prometheus::MetricFamily{});
      found->name = name;
      found->help = help;
      found->type = type;
    }
    prometheus::ClientMetric& metric = found->metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    return metric;
  }

  std::vector<prometheus::MetricFamily> families_;
};

void add_cache(Collector& out, const cache::Stats& stats) {
  out.gauge("otagate_cache_blobs", "Blobs in the cache.", static_cast<double>(stats.blobs));
  out.gauge("otagate_cache_bytes", "Bytes of the blobs in the cache.", static_cast<double>(stats.blob_bytes));
  out.gauge("otagate_cache_partial_bytes", "Bytes of unfinished fills.",
            static_cast<double>(stats.partial_bytes));
  out.gauge("otagate_readers", "Open readers of blobs.", static_cast<double>(stats.readers));
  out.gauge("otagate_fills", "Fills in progress.", static_cast<double>(stats.fills));
  out.counter("otagate_cache_hits_total", "Opens answered from a cached blob.",
              static_cast<double>(stats.hits));
  out.counter("otagate_cache_misses_total", "Opens that started a fill.", static_cast<double>(stats.misses));
  out.counter("otagate_cache_coalesced_total", "Opens that joined a fill.",
              static_cast<double>(stats.coalesced));
  out.counter("otagate_cache_evictions_total", "Blobs evicted.", static_cast<double>(stats.evicted));
  out.counter("otagate_cache_quarantined_total", "Blobs found damaged.",
              static_cast<double>(stats.quarantined));
  out.counter("otagate_fills_completed_total", "Fills that became a blob.",
              static_cast<double>(stats.fills_completed));
  out.counter("otagate_fills_failed_total", "Fills given up.", static_cast<double>(stats.fills_failed));
  out.counter("otagate_fills_rejected_total", "Fills that failed verification.",
              static_cast<double>(stats.fills_rejected));
  out.counter("otagate_fetched_bytes_total", "Bytes fetched from stores by fills.",
              static_cast<double>(stats.fetched_bytes));
  out.counter("otagate_fetches_total", "Requests made by fills.", static_cast<double>(stats.fetches));
  out.counter("otagate_fetch_failures_total", "Requests of fills that failed.",
              static_cast<double>(stats.fetch_failures));
}

void add_stores(Collector& out, const std::vector<StoreView>& stores) {
  const std::int64_t now = wall_ms();
  for (const StoreView& store : stores) {
    const Labels labels = {{"store", store.config.name}, {"plugin", store.config.plugin}};
    out.gauge("otagate_store_up", "1 when the store's last listing was good.",
              store.last_ok_ms != 0 && store.last_error.empty() ? 1 : 0, labels);
    if (store.last_ok_ms != 0) {
      out.gauge("otagate_store_sync_age_seconds", "Seconds since the last good listing.",
                static_cast<double>(now - store.last_ok_ms) / 1000, labels);
    }
    out.gauge("otagate_store_objects", "Objects of the last listing.", static_cast<double>(store.objects),
              labels);
    out.gauge("otagate_store_skipped", "Objects that are not firmware.", static_cast<double>(store.skipped),
              labels);
    out.counter("otagate_store_requests_total", "Calls made to the store.",
                static_cast<double>(store.requests), labels);
    out.counter("otagate_store_body_bytes_total", "Object bytes read from the store.",
                static_cast<double>(store.body_bytes), labels);
    out.counter("otagate_store_errors_total", "Calls to the store that failed.",
                static_cast<double>(store.errors), labels);
  }
}

void add_instances(Collector& out, const std::vector<plugin::InstanceStatus>& instances) {
  for (const plugin::InstanceStatus& instance : instances) {
    const Labels labels = {{"instance", instance.name}, {"plugin", instance.plugin}};
    out.gauge("otagate_instance_up", "1 when the instance is running.",
              instance.state == plugin::InstanceState::running ? 1 : 0, labels);
    out.counter("otagate_instance_calls_total", "Calls made to the plugin.",
                static_cast<double>(instance.counters.calls), labels);
    out.counter("otagate_instance_misbehaved_total", "Late, stray or oversize completions and exceptions.",
                static_cast<double>(instance.counters.late + instance.counters.stray +
                                    instance.counters.oversize + instance.counters.thrown),
                labels);
    for (const plugin::Metric& metric : instance.metrics) {
      const std::string name = "otagate_plugin_" + metric.name;
      if (metric.gauge)
        out.gauge(name, "Of the plugin.", metric.value, labels);
      else
        out.counter(name, "Of the plugin.", metric.value, labels);
    }
  }
}

void add_state(Collector& out, const state::Stats& stats) {
  out.gauge("otagate_state_write_queue", "Writes waiting for the database.",
            static_cast<double>(stats.write_queue));
  out.gauge("otagate_state_wal_bytes", "Size of the write-ahead log.", static_cast<double>(stats.wal_bytes));
  out.counter("otagate_state_writes_total", "Writes acknowledged.", static_cast<double>(stats.writes));
  out.counter("otagate_state_commits_total", "Transactions committed.", static_cast<double>(stats.commits));
  out.counter("otagate_state_errors_total", "Reads and writes that failed.",
              static_cast<double>(stats.read_errors + stats.write_errors));
}

void add_fleet(Collector& out, const FleetView& fleet) {
  out.gauge("otagate_devices", "Devices that are known.", static_cast<double>(fleet.devices));
  out.counter("otagate_check_ins_total", "Check-ins of devices.", static_cast<double>(fleet.check_ins));
  out.counter("otagate_check_ins_written_total", "Check-ins that changed something and were written.",
              static_cast<double>(fleet.written));
  // Every state always, so that a rate over one has a beginning.
  for (unsigned i = 0; i <= static_cast<unsigned>(rollout::AttemptState::superseded); ++i) {
    const auto state = static_cast<rollout::AttemptState>(i);
    const auto& counts = rollout::is_final(state) ? fleet.ended : fleet.open;
    const auto found = counts.find(state);
    const double count = found == counts.end() ? 0 : static_cast<double>(found->second);
    const Labels labels = {{"state", std::string(rollout::to_string(state))}};
    if (rollout::is_final(state))
      out.counter("otagate_attempts_ended_total", "Attempts at deployments that ended, by how.", count,
                  labels);
    else
      out.gauge("otagate_attempts_open", "Attempts at deployments under way, by state.", count, labels);
  }
}

}  // namespace

std::string render_metrics(const Backend& backend, const ServerCounters& server) {
  Collector out;
  const StatusView status = backend.status();
  out.gauge("otagate_info", "The daemon's version.", 1, {{"version", status.version}, {"name", status.name}});
  out.gauge("otagate_healthy", "1 when nothing is wrong.", status.ok ? 1 : 0);
  out.gauge("otagate_uptime_seconds", "Seconds since the start.",
            static_cast<double>(status.uptime_ms) / 1000);
  out.gauge("otagate_clock_synchronised", "1 when the kernel's clock is disciplined.",
            status.clock_synchronised ? 1 : 0);
  const auto cache = backend.cache_stats();
  add_cache(out, cache);
  add_stores(out, backend.stores());
  add_instances(out, backend.instances());
  add_state(out, backend.state_stats());
  add_fleet(out, backend.fleet());
  for (const auto& [loop, lag_us] : {std::pair<const char*, std::int64_t>{"api", server.lag_us},
                                     std::pair<const char*, std::int64_t>{"cache", cache.loop_lag_us}}) {
    out.gauge("otagate_event_loop_lag_seconds", "How late the last timer of the event loop was.",
              static_cast<double>(lag_us) / 1e6, {{"loop", loop}});
  }
  for (std::size_t digit = 1; digit < server.answers.size(); ++digit) {
    out.counter("otagate_api_requests_total", "Answers of the admin API, by class of their status.",
                static_cast<double>(server.answers[digit]), {{"status", std::to_string(digit) + "xx"}});
  }
  return out.text();
}

}  // namespace otagate::api
