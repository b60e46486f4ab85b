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

void EventLog::add(state::Event event) {
  event.wall_ms = wall_ms();
  event.clock_synchronised = clock_synchronised();
  if (event.message.size() > kMaxMessage) event.message.resize(kMaxMessage);

  log_fields("events", level_of(event.severity),
             {{"instance", event.instance.value_or("")},
              {"firmware", event.firmware.value_or("")},
              {"blob", event.blob ? event.blob->hex() : std::string()},
              {"device", event.device.value_or("")}},
             (event.instance ? *event.instance + ": " : std::string()) + event.kind + ": " +
                 (event.firmware ? *event.firmware + ": " : std::string()) + event.message);

  auto kept = std::make_shared<state::Event>(std::move(event));
  db_.write(
      [kept, shared = shared_](state::Writer& writer) -> Result<void> {
        state::EventLimits limits;
        {
          const std::scoped_lock lock(shared->mutex);
          limits = shared->limits;
        }
        const auto sequence = state::append_event(writer, *kept, limits);
        if (!sequence) return fail(sequence.error());
        kept->sequence = *sequence;
        return {};
      },
      [kept, shared = shared_](Result<void> outcome) {
        if (!outcome) {
          shared->lost.fetch_add(1, std::memory_order_relaxed);
          log("events").error("event {} was not recorded: {}", kept->kind, outcome.error().message());
          return;
        }
        const std::scoped_lock lock(shared->mutex);
        for (const auto& [id, follower] : shared->followers) follower(*kept);
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
