#include "plugin/instance_state.hpp"

#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "otagate/plugin.h"

namespace otagate::plugin {
namespace {

constexpr std::size_t kMaxMetrics = 64;
constexpr std::size_t kMaxMetricName = 64;
constexpr std::int64_t kComplainEveryMs = 60'000;

bool is_metric_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxMetricName && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

std::string_view to_string(InstanceState state) {
  switch (state) {
    case InstanceState::running: return "running";
    case InstanceState::waiting: return "waiting";
    case InstanceState::hung: return "hung";
    case InstanceState::failed: return "failed";
    case InstanceState::stopped: return "stopped";
  }
  return "failed";
}

StateKeeper::StateKeeper(std::string instance, std::shared_ptr<Dispatcher> dispatcher,
                         InstanceListener& listener)
    : instance_(std::move(instance)),
      dispatcher_(std::move(dispatcher)),
      listener_(listener),
      since_ms_(wall_ms()) {}

void StateKeeper::fail(std::string reason) {
  std::lock_guard lock(mutex_);
  if (failed_.empty()) failed_ = std::move(reason);
  report();
}

std::string StateKeeper::failed() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

void StateKeeper::overdue(std::uint64_t call, const char* what) {
  std::lock_guard lock(mutex_);
  overdue_.insert(call);
  overdue_what_ = what;
  report();
}

void StateKeeper::came_back(std::uint64_t call) {
  std::lock_guard lock(mutex_);
  if (overdue_.erase(call) > 0) report();
}

void StateKeeper::health(std::uint32_t status, std::string message) {
  std::lock_guard lock(mutex_);
  health_ = status;
  health_message_ = std::move(message);
  report();
}

void StateKeeper::stopped() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  report();
}

void StateKeeper::left_behind(std::string reason) {
  std::lock_guard lock(mutex_);
  left_behind_ = std::move(reason);
  report();
}

void StateKeeper::complain(const std::string& what) {
  const std::int64_t now_ms = steady_ms();
  std::lock_guard lock(mutex_);
  complaint_ = what;
  if (complained_ms_ != 0 && now_ms - complained_ms_ < kComplainEveryMs) return;
  complained_ms_ = std::max<std::int64_t>(now_ms, 1);
  dispatcher_->post([&listener = listener_, instance = instance_, what] {
    log(instance).warn("the plugin broke a rule of its interface: {}", what);
    listener.event(instance, Severity::warn, "plugin_misbehaved", instance, what);
  });
}

bool StateKeeper::metric(std::string_view name, bool gauge, double value) {
  std::lock_guard lock(mutex_);
  auto found = metrics_.find(name);
  if (found == metrics_.end()) {
    if (metrics_.size() >= kMaxMetrics || !is_metric_name(name)) return false;
    found = metrics_.emplace(std::string(name), Metric{std::string(name), gauge, 0}).first;
  }
  Metric& metric = found->second;
  metric.gauge = gauge;
  metric.value = gauge ? value : metric.value + value;
  return true;
}

InstanceState StateKeeper::now(std::string& reason) const {
  if (!left_behind_.empty()) {
    reason = left_behind_;
    return InstanceState::hung;
  }
  if (!failed_.empty()) {
    reason = failed_;
    return InstanceState::failed;
  }
  if (stopped_) return InstanceState::stopped;
  if (!overdue_.empty()) {
    reason = overdue_what_ + "() has not returned although its deadline has passed";
    return InstanceState::hung;
  }
  if (health_ != OTAGATE_OK) {
    reason = health_message_;
    return health_ == OTAGATE_BUSY ? InstanceState::waiting : InstanceState::failed;
  }
  reason = complaint_;
  return InstanceState::running;
}

void StateKeeper::report() {
  std::string reason;
  const InstanceState state = now(reason);
  if (state == reported_ && reason == reported_reason_) return;
  if (state != reported_) since_ms_ = wall_ms();
  reported_ = state;
  reported_reason_ = reason;
  dispatcher_->post([&listener = listener_, instance = instance_, state, reason] {
    if (state == InstanceState::failed || state == InstanceState::hung)
      log(instance).error("{}: {}", to_string(state), reason);
    else
      log(instance).info("{}{}{}", to_string(state), reason.empty() ? "" : ": ", reason);
    listener.state_changed(instance, state, reason);
  });
}

void StateKeeper::fill(InstanceStatus& status) const {
  std::lock_guard lock(mutex_);
  status.state = now(status.reason);
  status.since_ms = since_ms_;
  for (const auto& [name, metric] : metrics_) status.metrics.push_back(metric);
  status.counters.calls = counters.calls;
  status.counters.completed = counters.completed;
  status.counters.deadlines = counters.deadlines;
  status.counters.cancelled = counters.cancelled;
  status.counters.refused = counters.refused;
  status.counters.late = counters.late;
  status.counters.stray = counters.stray;
  status.counters.oversize = counters.oversize;
  status.counters.thrown = counters.thrown;
}

}  // namespace otagate::plugin
