// Fleet::Core: its thread, what is written, what is read back.
#include "gateway/fleet_core.hpp"

#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "state/outbox.hpp"

namespace otagate::gateway {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::size_t kRows = 1000;  // of a read: each is short
constexpr milliseconds kHousekeeping = 60s;
constexpr std::size_t kAttemptsPrunedAtOnce = 1000;

}  // namespace

milliseconds Fleet::Core::now() { return milliseconds(steady_ms()); }

rollout::Moment Fleet::Core::moment() { return {now(), wall_ms(), clock_synchronised()}; }

// ------------------------------------------------------------------ the thread

Result<void> Fleet::Core::start(const config::Devices& config) {
  config_ = config;
  if (auto loaded = load(); !loaded) return loaded;
  publish_tokens();
  for (const auto& [id, deployment] : deployments_) keep(*deployment);
  settle_all_ = true;
  thread_ = std::thread([this] { loop(); });
  return {};
}

void Fleet::Core::stop() {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Fleet::Core::post(std::function<void()> work) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return false;
    mailbox_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void Fleet::Core::loop() {
  run([] {});
  std::deque<std::function<void()>> taken;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (mailbox_.empty() && !stopping_) {
        const milliseconds wait = next_tick() - now();
        if (wait > 0ms) wake_.wait_for(lock, wait, [this] { return stopping_ || !mailbox_.empty(); });
      }
      if (stopping_ && mailbox_.empty()) break;
      taken.swap(mailbox_);
    }
    for (const auto& work : taken) run(work);
    taken.clear();
    if (next_tick() <= now()) run([this] { tick(); });
  }
  // Whoever is still held waits for nothing any more.
  for (const auto& [key, request] : held_) request->reply(fail(Code::cancelled, "the gateway is stopping"));
  held_.clear();
}

milliseconds Fleet::Core::next_tick() const {
  milliseconds next = housekeeping_at_;
  if (!due_.empty()) next = std::min(next, due_.begin()->first);
  if (!held_until_.empty()) next = std::min(next, held_until_.begin()->first);
  if (catalog_at_ != 0ms) next = std::min(next, catalog_at_);
  if (retry_at_ != 0ms) next = std::min(next, retry_at_);
  return next;
}

void Fleet::Core::tick() {
  const milliseconds at = now();
  timers(at);
  release_held(at);
  if (catalog_at_ != 0ms && at >= catalog_at_) {
    catalog_at_ = 0ms;
    ask_again();
  }
  if (retry_at_ != 0ms && at >= retry_at_) retry_releases(at);
  if (at >= housekeeping_at_) housekeeping();
}

void Fleet::Core::housekeeping() {
  housekeeping_at_ = now() + kHousekeeping;
  const rollout::Moment at = moment();
  std::vector<Deployment*> late;
  for (const auto& [id, deployment] : deployments_) {
    const auto deadline = deployment->spec.policy.deadline;
    const bool open = !rollout::is_over(deployment->rollout.state());
    if (open && at.synchronised && deadline != 0ms && at.wall_ms >= deployment->created_ms + deadline.count())
      late.push_back(deployment.get());
  }
  for (Deployment* deployment : late)
    apply(*deployment, deployment->rollout.abort("its deadline has passed"),
          rollout::AttemptState::cancelled);
  // Windows may have opened.
  for (const auto& [id, deployment] : deployments_) {
    const bool timed = !deployment->spec.policy.windows.empty() ||
                       (deployment->assigned && deployment->assigned->said.not_before_ms != 0);
    if (deployment->claims() && timed) wake(*deployment);
  }
  if (!at.synchronised) return;
  step([before = at.wall_ms - config_.history.count()](state::Writer& db) -> Result<void> {
    for (auto* prune : {&state::prune_attempts, &state::prune_assigned, &state::prune_outbox}) {
      if (const auto pruned = (*prune)(db, before, kAttemptsPrunedAtOnce); !pruned)
        return fail(pruned.error());
    }
    return {};
  });
}

// ------------------------------------------------------------------ writing

void Fleet::Core::run(const std::function<void()>& work) {
  work();
  while (settle_all_ || !settle_also_.empty()) {
    const auto also = std::exchange(settle_also_, {});
    if (std::exchange(settle_all_, false)) {
      for (auto& [key, device] : devices_) settle(device);
    } else {
      for (const DeviceKey key : also) {
        if (const auto found = devices_.find(key); found != devices_.end()) settle(found->second);
      }
    }
  }
  if (std::exchange(over_, false)) drop_over();
  commit();
}

void Fleet::Core::commit() {
  auto replies = std::move(replies_);
  replies_.clear();
  const std::uint64_t after = std::exchange(after_, 0);
  if (steps_.empty()) {
    touched_.clear();
    if (after <= committed_) {
      for (const auto& reply : replies) reply({});
    } else {
      for (auto& reply : replies) waiting_replies_.emplace(after, std::move(reply));
    }
    return;
  }
  const std::uint64_t sequence = ++write_seq_;
  for (const DeviceKey key : touched_) {
    if (const auto found = devices_.find(key); found != devices_.end()) found->second.dirty = sequence;
  }
  touched_.clear();
  auto steps = std::make_shared<std::vector<Step>>(std::move(steps_));
  auto written = std::move(written_);
  steps_.clear();
  written_.clear();
  db_.write(
      [steps](state::Writer& writer) -> Result<void> {
        for (const Step& step : *steps) {
          if (auto done = step(writer); !done) return done;
        }
        return {};
      },
      [weak = weak_from_this(), sequence, replies = std::move(replies),
       written = std::move(written)](const Result<void>& outcome) {
        for (const auto& reply : replies) reply(outcome);
        if (outcome) {
          for (const auto& tell : written) tell();
        }
        const auto self = weak.lock();
        if (!self) return;
        if (outcome)
          self->post([core = self.get(), sequence] { core->committed(sequence); });
        else
          self->post([core = self.get(), error = outcome.error()] { core->write_failed(error); });
      });
}

void Fleet::Core::committed(std::uint64_t sequence) {
  committed_ = std::max(committed_, sequence);
  while (!waiting_replies_.empty() && waiting_replies_.begin()->first <= committed_) {
    waiting_replies_.begin()->second({});
    waiting_replies_.erase(waiting_replies_.begin());
  }
}

void Fleet::Core::write_failed(const Error& error) {
  if (!stale_) log("fleet").error("writing the state of devices: {}; reading it back", error.message());
  stale_ = true;
  for (const auto& [sequence, reply] : waiting_replies_) reply(fail(error));
  waiting_replies_.clear();
  for (const auto& [key, request] : held_) request->reply(fail(error));
  held_.clear();
  held_until_.clear();
  // Queued behind every write that is on its way: what is read then is what there is.
  db_.write([](state::Writer&) -> Result<void> { return {}; },
            [weak = weak_from_this()](const Result<void>&) {
              if (const auto self = weak.lock()) self->post([core = self.get()] { core->read_back(); });
            });
}

void Fleet::Core::read_back() {
  if (!stale_) return;
  committed_ = write_seq_;
  if (auto loaded = load(); !loaded) return write_failed(loaded.error());
  stale_ = false;
  publish_tokens();
  settle_all_ = true;
  for (auto& wish : std::exchange(later_wishes_, {})) post(std::move(wish));
}

void Fleet::Core::event(std::string_view kind, state::Severity severity, const Device* device,
                        std::string message, std::string data) {
  state::Event event;
  event.kind = kind;
  event.severity = severity;
  if (device != nullptr) event.device = device->id;
  event.message = std::move(message);
  event.data = std::move(data);
  auto staged = events_.stage(std::move(event));
  steps_.push_back(std::move(staged.write));
  written_.push_back(std::move(staged.written));
}

// ------------------------------------------------------------------ reading back

Result<void> Fleet::Core::load() {
  devices_.clear();
  by_id_.clear();
  by_place_.clear();
  deployments_.clear();
  general_.clear();
  assigned_to_.clear();
  external_.clear();
  attempts_.clear();
  due_.clear();
  {
    const std::scoped_lock lock(shared_mutex_);
    shared_parts_.clear();
    counts_.open.clear();
  }
  housekeeping_at_ = now() + kHousekeeping;
  if (auto done = load_devices(); !done) return done;
  if (auto done = load_deployments(); !done) return done;
  return load_attempts();
}

Result<void> Fleet::Core::load_devices() {
  auto next = db_.read_sync([](state::Reader& db) { return state::next_device(db); });
  if (!next) return fail(std::move(next).error());
  next_device_ = *next;
  for (std::int64_t after = 0;;) {
    auto rows = db_.read_sync([&](state::Reader& db) { return state::page_devices(db, after, kRows); });
    if (!rows) return fail(std::move(rows).error());
    for (const state::DeviceRow& row : *rows) {
      Device device = fleet::device_of(row);
      device.written_ms = now().count();
      add_device(std::move(device));
      after = row.id;
    }
    if (rows->size() < kRows) return {};
  }
}

std::unique_ptr<fleet::Deployment> Fleet::Core::deployment_of(const state::DeploymentRow& row) const {
  auto spec = rollout::parse_spec(row.spec);
  if (!spec) {
    log("fleet").error("deployment {} cannot be read: {}", row.id, spec.error().message());
    return nullptr;
  }
  const rollout::Policy policy = spec->policy;
  auto deployment = std::make_unique<Deployment>(
      row.id, std::move(*spec),
      rollout::Rollout(policy, static_cast<rollout::RolloutState>(row.state), row.wave, row.forgiven));
  deployment->why = row.why;
  deployment->fingerprints = fleet::pairs_of(row.release);
  deployment->origin = row.origin;
  deployment->external_id = row.external_id;
  deployment->created_ms = row.created_ms;
  deployment->ended_ms = row.ended_ms;
  deployment->frozen = policy.once;
  if (!row.origin) return deployment;
  const auto assignment =
      db_.read_sync([&](state::Reader& db) { return state::find_assignment(db, row.id); });
  if (!assignment || !*assignment) {
    log("fleet").error("deployment {} of store {} cannot be read", row.id, *row.origin);
    return nullptr;
  }
  deployment->assigned = assigned_of(**assignment, *row.origin);
  return deployment;
}

Result<void> Fleet::Core::load_deployments() {
  auto next = db_.read_sync([](state::Reader& db) { return state::next_ids(db); });
  if (!next) return fail(std::move(next).error());
  next_ = *next;
  const auto outbox = db_.read_sync([](state::Reader& db) { return state::next_outbox(db); });
  if (!outbox) return fail(outbox.error());
  next_outbox_ = *outbox;
  auto rows = db_.read_sync([](state::Reader& db) { return state::open_deployments(db); });
  if (!rows) return fail(std::move(rows).error());
  for (const state::DeploymentRow& row : *rows) {
    auto deployment = deployment_of(row);
    if (!deployment) continue;
    if (auto done = load_members(*deployment); !done) return done;
    enter(std::move(deployment));
  }
  return {};
}

Result<void> Fleet::Core::load_members(Deployment& deployment) {
  for (std::int64_t after = 0;;) {
    auto rows = db_.read_sync(
        [&](state::Reader& db) { return state::page_members(db, deployment.id, after, kRows); });
    if (!rows) return fail(std::move(rows).error());
    restore(deployment, *rows);
    if (!rows->empty()) after = rows->back().device;
    if (rows->size() < kRows) return {};
  }
}

Result<void> Fleet::Core::load_attempts() {
  for (std::int64_t after = 0;;) {
    auto rows = db_.read_sync([&](state::Reader& db) { return state::page_open_attempts(db, after, kRows); });
    if (!rows) return fail(std::move(rows).error());
    for (const state::AttemptRow& row : *rows) {
      after = row.id;
      auto found = deployments_.find(row.deployment);
      if (found == deployments_.end()) {
        // It has ended; its last devices still apply what they got.
        auto ended =
            db_.read_sync([&](state::Reader& db) { return state::find_deployment(db, row.deployment); });
        if (!ended) return fail(std::move(ended).error());
        auto deployment = *ended ? deployment_of(**ended) : nullptr;
        if (!deployment) continue;
        if (auto done = load_members(*deployment); !done) return done;
        enter(std::move(deployment));
        found = deployments_.find(row.deployment);
      }
      Deployment& deployment = *found->second;
      Device& device = at(row.device);
      auto parts = fleet::parts_of(row.parts);
      const auto count = static_cast<std::uint32_t>(parts.size());
      const rollout::Policy& policy = deployment.spec.policy;
      Attempt attempt{
          .id = static_cast<AttemptId>(row.id),
          .deployment = row.deployment,
          .device = row.device,
          .machine = rollout::Attempt(count, {policy.silence, policy.apply}, now(),
                                      static_cast<rollout::AttemptState>(row.state), row.part, row.offset,
                                      deployment.assigned && deployment.assigned->machine.download_only()),
          .parts = std::move(parts),
          .resume_token = row.resume_token,
          .started_ms = row.started_ms,
          .counted = static_cast<rollout::AttemptState>(row.state)};
      device.attempt = attempt.id;
      ++deployment.open_attempts;
      // The member's row does not say which attempt is its own.
      deployment.rollout.running(row.device, attempt.id);
      {
        const std::scoped_lock lock(shared_mutex_);
        shared_parts_[attempt.id] = {device.id, attempt.parts};
        ++counts_.open[attempt.counted];
      }
      schedule(attempts_.emplace(attempt.id, std::move(attempt)).first->second);
    }
    if (rows->size() < kRows) return {};
  }
}

FleetCounts Fleet::Core::counts() const {
  const std::scoped_lock lock(shared_mutex_);
  return counts_;
}

bool Fleet::Core::is_offered(const Digest& digest, const Principal& principal) const {
  const std::scoped_lock lock(shared_mutex_);
  return std::any_of(shared_parts_.begin(), shared_parts_.end(), [&](const auto& item) {
    const SharedParts& shared = item.second;
    if (!principal.device.empty() && !principal.gateway && principal.device != shared.device) return false;
    return std::any_of(shared.parts.begin(), shared.parts.end(), [&](const fleet::OfferedPart& part) {
      const bool bound = principal.type.empty() || part.type.empty() || part.type == principal.type;
      return part.digest == digest && bound;
    });
  });
}

std::optional<FleetPart> Fleet::Core::open_part(AttemptId attempt, std::uint32_t part) const {
  const std::scoped_lock lock(shared_mutex_);
  const auto found = shared_parts_.find(attempt);
  if (found == shared_parts_.end() || part >= found->second.parts.size()) return std::nullopt;
  const fleet::OfferedPart& offered = found->second.parts[part];
  return FleetPart{offered.digest,  found->second.device, offered.name,
                   offered.version, offered.type,         offered.size};
}

}  // namespace otagate::gateway
