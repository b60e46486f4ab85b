#include "gateway/relay.hpp"

#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "core/clock.hpp"
#include "core/log.hpp"

namespace otagate::gateway {

namespace json = boost::json;

namespace {

using std::chrono::milliseconds;

constexpr unsigned kOpenCalls = 4;  // of one store
constexpr std::size_t kRows = 1000;
constexpr std::string_view kDestination = "store:";

milliseconds now() { return milliseconds(steady_ms()); }

// What the row says, as the plugin is told.
plugin::Feedback feedback_of(const state::OutboxRow& row) {
  plugin::Feedback feedback;
  feedback.kind = static_cast<std::uint32_t>(row.kind);
  feedback.external_id = row.subject;
  feedback.at_ms = row.added_ms;
  boost::system::error_code error;
  const json::value value = json::parse(row.body, error);
  const json::object* const body = error ? nullptr : value.if_object();
  if (body == nullptr) return feedback;
  const auto text = [&](std::string_view key) {
    const json::value* found = body->if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  const auto number = [&](std::string_view key) {
    const json::value* found = body->if_contains(key);
    return found != nullptr && found->is_int64() ? found->get_int64() : std::int64_t{0};
  };
  feedback.device = text("device");
  feedback.message = text("message");
  feedback.done = static_cast<std::uint64_t>(number("done"));
  feedback.total = static_cast<std::uint64_t>(number("total"));
  feedback.code = static_cast<std::int32_t>(number("code"));
  return feedback;
}

RelayQueue::Outcome outcome_of(const Result<void>& result) {
  if (result) return RelayQueue::Outcome::done;
  switch (result.error().code()) {
    case Code::not_found: return RelayQueue::Outcome::done;  // upstream is through with it
    case Code::permanent:
    case Code::unsupported:
    case Code::invalid:
    case Code::rejected: return RelayQueue::Outcome::drop;
    default: return RelayQueue::Outcome::again;
  }
}

std::string subject_of(const RelayQueue::Job& job) {
  if (const auto* row = std::get_if<state::OutboxRow>(&job)) return "feedback on " + row->subject;
  if (const auto* watch = std::get_if<RelayQueue::Watch>(&job)) return "watching " + watch->device;
  return "unwatching " + std::get<RelayQueue::Unwatch>(job).device;
}

}  // namespace

Relay::~Relay() { stop(); }

void Relay::start() {
  shared_->relay = this;
  thread_ = std::thread([this] { run(); });
}

void Relay::stop() {
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->stopping) return;
    shared_->stopping = true;
    shared_->relay = nullptr;
    lines_.clear();
  }
  shared_->wake.notify_all();
  if (thread_.joinable()) thread_.join();
  // What is on its way into the database still says so.
  (void)db_.write_sync([](state::Writer&) -> Result<void> { return {}; });
}

void Relay::add_store(const config::Store& store, std::shared_ptr<StoreClient> client) {
  auto line = std::make_shared<Line>(store, std::move(client));
  // From now on new rows come by themselves; those of both ways are known by their numbers.
  {
    const std::scoped_lock lock(shared_->mutex);
    lines_[store.name] = line;
  }
  for (std::int64_t after = 0;;) {
    const auto rows = db_.read_sync([&](state::Reader& db) {
      return state::page_outbox(db, std::string(kDestination) + store.name, after, kRows);
    });
    if (!rows) {
      log("gateway").error("store {}: reading its outbox: {}", store.name, rows.error().message());
      break;
    }
    const std::scoped_lock lock(shared_->mutex);
    for (const state::OutboxRow& row : *rows) {
      line->queue.add(row, OTAGATE_FEEDBACK_PROGRESS);
      after = row.id;
    }
    shared_->news = true;
    if (rows->size() < kRows) break;
  }
  shared_->wake.notify_all();
}

void Relay::remove_store(const std::string& name) {
  const std::scoped_lock lock(shared_->mutex);
  lines_.erase(name);
}

std::optional<AssignmentsStatus> Relay::status(const std::string& store) const {
  const std::scoped_lock lock(shared_->mutex);
  const auto found = lines_.find(store);
  if (found == lines_.end()) return std::nullopt;
  const Line& line = *found->second;
  return AssignmentsStatus{line.queue.watched(), line.queue.unsaid_watches(), line.queue.feedback(),
                           line.last_error};
}

void Relay::device_known(const KnownDevice& device) {
  {
    const std::scoped_lock lock(shared_->mutex);
    for (const auto& [name, line] : lines_) {
      if (!device.approved || !line->store.assignments.meant(device.id, device.type, device.tags)) {
        line->queue.unwatch(device.id);
      } else if (!line->queue.watch(device.id, device.attributes) && !std::exchange(line->full_said, true)) {
        events_.add("assignments_full", state::Severity::warning, name,
                    "more than " + std::to_string(RelayQueue::kMaxWatched) +
                        " devices: name in [store.assignments] which it is to be asked about");
      }
    }
    shared_->news = true;
  }
  shared_->wake.notify_all();
}

void Relay::device_gone(const std::string& id) {
  {
    const std::scoped_lock lock(shared_->mutex);
    for (const auto& [name, line] : lines_) line->queue.unwatch(id);
    shared_->news = true;
  }
  shared_->wake.notify_all();
}

void Relay::feedback_waits(const state::OutboxRow& row) {
  {
    const std::scoped_lock lock(shared_->mutex);
    const auto found = lines_.find(std::string_view(row.destination).substr(kDestination.size()));
    if (found == lines_.end()) return;
    found->second->queue.add(row, OTAGATE_FEEDBACK_PROGRESS);
    shared_->news = true;
  }
  shared_->wake.notify_all();
}

void Relay::run() {
  std::unique_lock lock(shared_->mutex);
  while (!shared_->stopping) {
    shared_->news = false;
    const auto wait = pump(lock);
    const auto woken = [this] { return shared_->stopping || shared_->news; };
    if (wait)
      shared_->wake.wait_for(lock, *wait, woken);
    else
      shared_->wake.wait(lock, woken);
  }
}

// Makes every call that can be made now. Returns how long the next one has to wait; nothing: for news.
std::optional<milliseconds> Relay::pump(std::unique_lock<std::mutex>& lock) {
  std::vector<std::pair<LinePtr, RelayQueue::Job>> jobs;
  std::optional<milliseconds> wait;
  const auto sooner = [&](milliseconds time) { wait = std::min(wait.value_or(time), time); };
  for (const auto& [name, line] : lines_) {
    while (line->open < kOpenCalls) {
      const bool idle = line->queue.feedback() == 0 && line->queue.unsaid_watches() == 0;
      if (idle) break;
      // While the way there is gone nothing is tried but what probes it.
      if (const std::int64_t closed = line->client->circuit().closed_for(steady_ms()); closed != 0) {
        sooner(milliseconds(closed));
        break;
      }
      auto job = line->queue.next(now());
      if (!job) {
        if (const auto due = line->queue.due()) sooner(std::max(milliseconds(1), *due - now()));
        break;
      }
      if (const std::int64_t closed = line->client->circuit().admit(steady_ms()); closed != 0) {
        line->queue.ended(*job, RelayQueue::Outcome::again, now(), milliseconds(closed));
        sooner(milliseconds(closed));
        break;
      }
      ++line->open;
      jobs.emplace_back(line, std::move(*job));
    }
  }
  if (jobs.empty()) return wait;
  lock.unlock();
  for (const auto& [line, job] : jobs) call(line, job);
  lock.lock();
  return wait;
}

void Relay::call(const LinePtr& line, const RelayQueue::Job& job) {
  plugin::Reply<void> reply = [shared = shared_, line, job](const Result<void>& result) {
    {
      const std::scoped_lock lock(shared->mutex);
      --line->open;
      if (shared->relay != nullptr) shared->relay->ended(line, job, result);
      shared->news = true;
    }
    shared->wake.notify_all();
  };
  StoreClient& client = *line->client;
  if (const auto* row = std::get_if<state::OutboxRow>(&job))
    client.feedback(feedback_of(*row), std::move(reply));
  else if (const auto* watch = std::get_if<RelayQueue::Watch>(&job))
    client.watch(watch->device, watch->attributes, std::move(reply));
  else
    client.unwatch(std::get<RelayQueue::Unwatch>(job).device, std::move(reply));
}

// Under the mutex.
void Relay::ended(const LinePtr& line, const RelayQueue::Job& job, const Result<void>& result) {
  const RelayQueue::Outcome outcome = outcome_of(result);
  const std::string error =
      outcome == RelayQueue::Outcome::done ? "" : subject_of(job) + ": " + result.error().message();
  if (outcome == RelayQueue::Outcome::drop)
    events_.add("feedback_dropped", state::Severity::warning, line->store.name, error);
  else if (line->last_error.empty() && !error.empty())
    events_.add("feedback_failing", state::Severity::warning, line->store.name, error + "; it is said again");
  line->last_error = error;
  line->queue.ended(job, outcome, now(), milliseconds(result ? 0 : result.error().retry_after_ms()));
  const auto* row = std::get_if<state::OutboxRow>(&job);
  if (row != nullptr && outcome != RelayQueue::Outcome::again) forget(line->store.name, *row);
}

void Relay::forget(const std::string& store, const state::OutboxRow& row) {
  const bool agreed = row.kind == OTAGATE_FEEDBACK_CONFIRMED;
  db_.write([id = row.id](state::Writer& db) { return state::delete_outbox(db, id); },
            [agreed, tell = agreed_, store, subject = row.subject](const Result<void>& outcome) {
              if (!outcome) log("gateway").error("outbox of {}: {}", store, outcome.error().message());
              if (agreed) tell(store, subject);
            });
}

}  // namespace otagate::gateway
