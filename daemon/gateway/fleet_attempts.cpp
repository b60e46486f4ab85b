// Fleet::Core: attempts begin and end, and deployments move on by it.
#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "core/clock.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace json = boost::json;

namespace {

using rollout::AttemptState;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

std::string attempt_data(const fleet::Attempt& attempt, const std::string& device,
                         const fleet::Deployment& deployment) {
  return json::serialize(json::object{{"attempt", attempt.id},
                                      {"deployment", attempt.deployment},
                                      {"device", device},
                                      {"state", rollout::to_string(attempt.machine.state())},
                                      {"wave", deployment.rollout.wave()},
                                      {"code", attempt.machine.code()}});
}

std::string firmware_of(const fleet::Attempt& attempt) {
  std::string text;
  for (const fleet::OfferedPart& part : attempt.parts)
    text += (text.empty() ? "" : ", ") + part.name + "/" + part.version;
  return text;
}

std::uint32_t reason_of(AttemptState why) {
  return why == AttemptState::superseded ? OTAGATE_REVOKED_SUPERSEDED : OTAGATE_REVOKED_CANCELLED;
}

}  // namespace

fleet::Attempt& Fleet::Core::begin(Deployment& deployment, Device& device, const Release& release,
                                   const std::vector<std::size_t>& parts) {
  std::vector<fleet::OfferedPart> offered;
  for (const std::size_t i : parts) {
    const ReleasePart& part = release.parts[i];
    if (runs(device, part)) continue;
    const state::Firmware& firmware = part.entry->firmware;
    offered.push_back(
        {part.component, firmware.name, firmware.version, firmware.type, *part.digest, firmware.size});
  }
  const rollout::Policy& policy = deployment.spec.policy;
  const auto count = static_cast<std::uint32_t>(offered.size());
  Attempt attempt{
      .id = static_cast<AttemptId>(next_.attempt++),
      .deployment = deployment.id,
      .device = device.key,
      .machine = rollout::Attempt(count, {policy.silence, policy.apply}, now(),
                                  deployment.assigned && deployment.assigned->machine.download_only()),
      .parts = std::move(offered),
      .resume_token = {},
      .started_ms = wall_ms()};
  Attempt& added = attempts_.emplace(attempt.id, std::move(attempt)).first->second;
  device.attempt = added.id;
  ++deployment.open_attempts;
  deployment.rollout.began(device.key, added.id);
  {
    const std::scoped_lock lock(shared_mutex_);
    shared_parts_[added.id] = {device.id, added.parts};
    ++counts_.open[AttemptState::offered];
  }
  schedule(added);
  save(added);
  save_member(deployment, device.key);
  event("attempt.started", state::Severity::info, &device, firmware_of(added),
        attempt_data(added, device.id, deployment));
  if (deployment.assigned) say(deployment, deployment.assigned->machine.began(size_of(added).total, now()));
  return added;
}

void Fleet::Core::save(Attempt& attempt) {
  attempt.saved = now();
  attempt.saved_offset = attempt.machine.offset();
  touched_.push_back(attempt.device);
  step([row = attempt.row(at(attempt.device))](state::Writer& db) { return state::put_attempt(db, row); });
}

// The machine has moved: timers and figures follow. True: its state is another than before.
bool Fleet::Core::moved(Attempt& attempt) {
  schedule(attempt);
  const AttemptState state = attempt.machine.state();
  if (state == attempt.counted) return false;
  if (!rollout::is_final(state)) {
    const std::scoped_lock lock(shared_mutex_);
    --counts_.open[attempt.counted];
    ++counts_.open[state];
    attempt.counted = state;
  }
  return true;
}

void Fleet::Core::schedule(Attempt& attempt) {
  due_.erase({attempt.due, attempt.id});
  attempt.due = attempt.machine.due();
  if (attempt.due != milliseconds::max()) due_.emplace(attempt.due, attempt.id);
}

void Fleet::Core::end(Attempt& attempt) {
  Device& device = at(attempt.device);
  Deployment& deployment = *find_deployment(attempt.deployment);
  const AttemptState how = attempt.machine.state();
  due_.erase({attempt.due, attempt.id});
  state::AttemptRow row = attempt.row(device);
  row.ended_ms = wall_ms();
  touched_.push_back(device.key);
  step([row = std::move(row), keep = config_.history_per_device](state::Writer& db) -> Result<void> {
    if (auto put = state::put_attempt(db, row); !put) return put;
    const auto pruned = state::prune_attempts_of(db, row.device, keep);
    if (!pruned) return fail(pruned.error());
    return {};
  });
  device.attempt = 0;
  --deployment.open_attempts;
  // What was confirmed part by part stays, also when a later part failed.
  const std::size_t done =
      how == AttemptState::confirmed ? attempt.parts.size() : std::size_t{attempt.machine.part()};
  bool news = false;
  const bool kept_only = deployment.assigned && deployment.assigned->machine.download_only();
  for (std::size_t i = 0; !kept_only && i < done && i < attempt.parts.size(); ++i) {
    auto& version = device.versions[attempt.parts[i].component];
    news = news || version != attempt.parts[i].version;
    if (!version.starts_with("sha256:")) version = attempt.parts[i].version;
  }
  if (news) save(device);
  const bool good = how == AttemptState::confirmed;
  const bool bad =
      how == AttemptState::failed || how == AttemptState::reverted || how == AttemptState::timed_out;
  event("attempt.ended", bad ? state::Severity::warning : state::Severity::info, &device,
        firmware_of(attempt) + ": " + std::string(rollout::to_string(how)) +
            (good || attempt.machine.message().empty() ? "" : ": " + attempt.machine.message()),
        attempt_data(attempt, device.id, deployment));
  {
    const std::scoped_lock lock(shared_mutex_);
    shared_parts_.erase(attempt.id);
    --counts_.open[attempt.counted];
    ++counts_.ended[how];
  }
  const AttemptId id = attempt.id;
  // Of what the store says no more: whatever came of it, what it says now is still to be done.
  const bool outdated = deployment.assigned && !deployment.assigned->has(attempt.parts);
  const std::int32_t code = attempt.machine.code();
  std::string message(attempt.machine.message());
  attempts_.erase(id);
  over_ = true;
  const rollout::Changes changes =
      deployment.rollout.ended(device.key, id, outdated ? AttemptState::superseded : how, moment());
  save_member(deployment, device.key);
  if (bad && deployment.assigned && !outdated) {
    const rollout::Member* const member = deployment.rollout.find(device.key);
    say(deployment,
        deployment.assigned->machine.tried(
            code, message.empty() ? std::string(rollout::to_string(how)) : std::move(message),
            member != nullptr && member->state == rollout::MemberState::backing_off && !changes.state));
  }
  apply(deployment, changes, AttemptState::cancelled);
  conclude(deployment);
  keep(deployment);
  settle(device);
  wake(deployment);
}

void Fleet::Core::cancel(AttemptId id, AttemptState why, std::string message) {
  const auto found = attempts_.find(id);
  if (found == attempts_.end()) return;
  Attempt& attempt = found->second;
  // Whoever writes its flash already is let through.
  if (!attempt.machine.cancel(why, std::move(message))) return;
  host_.revoke(at(attempt.device).transport, id, reason_of(why));
  end(attempt);
}

void Fleet::Core::timers(milliseconds at_ms) {
  while (!due_.empty() && due_.begin()->first <= at_ms) {
    Attempt& attempt = attempts_.at(due_.begin()->second);
    attempt.machine.tick(at_ms);
    if (rollout::is_final(attempt.machine.state())) {
      host_.revoke(at(attempt.device).transport, attempt.id, OTAGATE_REVOKED_CANCELLED);
      end(attempt);
    } else {
      schedule(attempt);
    }
  }
}

plugin::Offer Fleet::Core::offer_of(Attempt& attempt) const {
  const Deployment& deployment = *deployments_.at(attempt.deployment);
  plugin::Offer offer;
  offer.attempt = attempt.id;
  offer.lease = deployment.spec.policy.silence;
  offer.resume_token = attempt.resume_token;
  offer.download_only = deployment.assigned && deployment.assigned->machine.download_only();
  // Parts that are done are not offered again; the device counts from the first it is offered.
  attempt.first_offered = attempt.machine.part();
  for (std::uint32_t i = attempt.machine.part(); i < attempt.parts.size(); ++i) {
    const fleet::OfferedPart& part = attempt.parts[i];
    plugin::OfferPart out;
    out.firmware = part_handle(attempt.id, i);
    out.component = part.component;
    out.name = part.name;
    out.version = part.version;
    out.sha256 = part.digest.hex();
    if (part.size) out.size = *part.size;
    if (deployment.assigned) out.params = deployment.assigned->params(part.component);
    offer.parts.push_back(std::move(out));
  }
  return offer;
}

fleet::Deployment* Fleet::Core::find_deployment(std::int64_t id) {
  const auto found = deployments_.find(id);
  return found == deployments_.end() ? nullptr : found->second.get();
}

void Fleet::Core::save(Deployment& deployment) {
  step([row = deployment.row()](state::Writer& db) { return state::update_deployment(db, row); });
}

// Only who has begun once, and a frozen list, has to be remembered.
void Fleet::Core::save_member(const Deployment& deployment, DeviceKey device) {
  const rollout::Member* const member = deployment.rollout.find(device);
  if (member == nullptr || (!member->admitted && !deployment.frozen)) return;
  step([row = state::MemberRow{.deployment = deployment.id,
                               .device = device,
                               .state = static_cast<int>(member->state),
                               .admitted = member->admitted,
                               .attempts = member->attempts}](state::Writer& db) {
    return state::put_member(db, row);
  });
}

void Fleet::Core::leave(Deployment& deployment, Device& device, AttemptState why) {
  const rollout::Changes changes = deployment.rollout.leave(device.key);
  step([id = deployment.id, key = device.key](state::Writer& db) {
    return state::delete_member(db, id, key);
  });
  apply(deployment, changes, why);
}

void Fleet::Core::apply(Deployment& deployment, const rollout::Changes& changes, AttemptState why) {
  const std::string data =
      json::serialize(json::object{{"deployment", deployment.id},
                                   {"state", rollout::to_string(deployment.rollout.state())},
                                   {"wave", deployment.rollout.wave()}});
  if (changes.state) {
    deployment.why = changes.why;
    const auto state = deployment.rollout.state();
    const bool stopped = state == rollout::RolloutState::paused || state == rollout::RolloutState::aborted;
    if (rollout::is_over(state))
      deployment.ended_ms = wall_ms();
    else
      deployment.ended_ms.reset();
    over_ = true;
    event("deployment." + std::string(rollout::to_string(state)),
          stopped ? state::Severity::warning : state::Severity::notice, nullptr,
          "deployment " + std::to_string(deployment.id) + ": " + changes.why, data);
    // Others may now decide what its devices run, or none.
    if (deployment.assigned)
      settle_also_.push_back(deployment.assigned->key);
    else
      settle_all_ = true;
  }
  if (changes.wave)
    event("deployment.wave", state::Severity::info, nullptr,
          "deployment " + std::to_string(deployment.id) + ": wave " +
              std::to_string(deployment.rollout.wave() + 1) + " begins",
          data);
  if (changes.state || changes.wave) save(deployment);
  for (const AttemptId id : changes.cancel)
    cancel(id, why,
           why == AttemptState::superseded ? "another deployment decides what the device runs"
                                           : "the deployment does not reach for the device any more");
  conclude(deployment);
  if (changes.state) keep(deployment);
  if (changes.state || changes.wave) wake(deployment);
}

// Who waits for it may have his turn now.
void Fleet::Core::wake(Deployment& deployment) {
  if (held_.empty()) return;
  std::vector<CheckInPtr> waiting;
  for (const auto& [key, request] : held_) {
    if (deployment.rollout.find(key) != nullptr) waiting.push_back(request);
  }
  for (const CheckInPtr& request : waiting) {
    // Not inside what changed it: as a request of its own.
    post([this, request] {
      const auto found = held_.find(request->device);
      if (found != held_.end() && found->second == request) serve(request);
    });
  }
}

}  // namespace otagate::gateway
