#include "gateway/events.hpp"

#include "core/clock.hpp"
#include "core/log.hpp"

namespace otagate::gateway {

namespace {

spdlog::level::level_enum level_of(state::Severity severity) {
  switch (severity) {
    case state::Severity::info: return spdlog::level::info;
    case state::Severity::notice: return spdlog::level::info;
    case state::Severity::warning: return spdlog::level::warn;
    case state::Severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

constexpr std::size_t kMaxMessage = 4096;

}  // namespace

Result<void> EventLog::Shared::append(state::Writer& writer, state::Event& event) {
  state::EventLimits kept;
  {
    const std::scoped_lock lock(mutex);
    kept = limits;
  }
  const auto sequence = state::append_event(writer, event, kept);
  if (!sequence) return fail(sequence.error());
  event.sequence = *sequence;
  return {};
}

void EventLog::Shared::tell(const state::Event& event) {
  const std::scoped_lock lock(mutex);
  for (const auto& [id, follower] : followers) follower(event);
}

EventLog::Staged EventLog::stage(state::Event event) {
  event.wall_ms = wall_ms();
  event.clock_synchronised = clock_synchronised();
  if (event.message.size() > kMaxMessage) event.message.resize(kMaxMessage);

  log_fields("events", level_of(event.severity),
             {{"instance", event.instance.value_or("")},
              {"firmware", event.firmware.value_or("")},
              {"blob", event.blob ? event.blob->hex() : std::string()},
              {"device", event.device.value_or("")}},
             (event.instance ? *event.instance + ": " : std::string()) +
                 (event.device ? *event.device + ": " : std::string()) + event.kind + ": " +
                 (event.firmware ? *event.firmware + ": " : std::string()) + event.message);

  auto kept = std::make_shared<state::Event>(std::move(event));
  return {[kept, shared = shared_](state::Writer& writer) { return shared->append(writer, *kept); },
          [kept, shared = shared_] { shared->tell(*kept); }};
}

void EventLog::add(state::Event event) {
  const std::string kind = event.kind;
  Staged staged = stage(std::move(event));
  db_.write(std::move(staged.write),
            [kind, written = std::move(staged.written), shared = shared_](const Result<void>& outcome) {
              if (outcome) return written();
              shared->lost.fetch_add(1, std::memory_order_relaxed);
              log("events").error("event {} was not recorded: {}", kind, outcome.error().message());
            });
}

void EventLog::add(std::string_view kind, state::Severity severity, std::string_view instance,
                   std::string message) {
  state::Event event;
  event.kind = kind;
  event.severity = severity;
  if (!instance.empty()) event.instance = std::string(instance);
  event.message = std::move(message);
  add(std::move(event));
}

std::uint64_t EventLog::follow(Follower follower) {
  const std::scoped_lock lock(shared_->mutex);
  shared_->followers.emplace(shared_->next, std::move(follower));
  return shared_->next++;
}

void EventLog::unfollow(std::uint64_t id) {
  const std::scoped_lock lock(shared_->mutex);
  shared_->followers.erase(id);
}

void EventLog::set_limits(const state::EventLimits& limits) {
  const std::scoped_lock lock(shared_->mutex);
  shared_->limits = limits;
}

void EventLog::prune() {
  db_.write([shared = shared_, now = wall_ms(),
             synced = clock_synchronised()](state::Writer& writer) -> Result<void> {
    state::EventLimits limits;
    {
      const std::scoped_lock lock(shared->mutex);
      limits = shared->limits;
    }
    const auto pruned = state::prune_events(writer, limits, now, synced);
    if (!pruned) return fail(pruned.error());
    return {};
  });
}

}  // namespace otagate::gateway
