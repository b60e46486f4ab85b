// Fleet::Core: what stores assign becomes deployments of one device each, and what becomes of these is said
// to the store through the outbox.
#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace json = boost::json;

namespace {

using rollout::FeedbackKind;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

static_assert(static_cast<int>(FeedbackKind::denied) == OTAGATE_FEEDBACK_DENIED);
static_assert(static_cast<int>(FeedbackKind::progress) == OTAGATE_FEEDBACK_PROGRESS);

constexpr std::size_t kMaxWishes = 20'000;
constexpr std::size_t kMaxFeedbackText = 1024;

std::string data_of(const std::string& store, const std::string& external_id, std::int64_t deployment) {
  return json::serialize(
      json::object{{"store", store}, {"external_id", external_id}, {"deployment", deployment}});
}

bool download_only(const plugin::Assignment& said) { return said.mode == OTAGATE_ASSIGN_DOWNLOAD_ONLY; }

}  // namespace

bool Fleet::Core::post_wish(std::function<void()> work) {
  if (wishes_.fetch_add(1) >= kMaxWishes) {
    --wishes_;
    return false;
  }
  const bool taken = post([this, work = std::move(work)] {
    --wishes_;
    if (stale_)
      later_wishes_.push_back(work);
    else
      work();
  });
  if (!taken) --wishes_;
  return taken;
}

// ------------------------------------------------------------------ which stores, which devices

void Fleet::Core::set_assigner(const std::string& store, const config::StoreAssignments& settings) {
  assigners_[store] = settings;
  for (const auto& [key, device] : devices_) announce(device);
  settle_all_ = true;
}

void Fleet::Core::remove_assigner(const std::string& store) {
  if (assigners_.erase(store) != 0) settle_all_ = true;
}

void Fleet::Core::announce(const Device& device) {
  KnownDevice known;
  known.id = device.id;
  known.type = device.type;
  known.tags = device.tags;
  known.approved = device.approval == rollout::Approval::approved;
  // What the gateway knows outranks what the device says of itself under the same name.
  std::map<std::string, std::string> attributes = device.attributes;
  if (!device.type.empty()) attributes["type"] = device.type;
  for (const auto& [component, version] : device.versions)
    attributes[component == rollout::kDefaultComponent ? "version" : "version." + component] = version;
  known.attributes.assign(attributes.begin(), attributes.end());
  host_.device_known(known);
}

bool Fleet::Core::local_wins(const std::string& store) const {
  const auto found = assigners_.find(store);
  return found == assigners_.end() ? config_.local_wins
                                   : found->second.local_wins.value_or(config_.local_wins);
}

const std::string* Fleet::Core::holder(const Device& device, const std::string& component) const {
  const auto held = device.held.find(component);
  if (held == device.held.end()) return nullptr;
  const auto store = assigners_.find(held->second);
  if (store == assigners_.end() || !store->second.enabled || local_wins(held->second)) return nullptr;
  return store->second.meant(device.id, device.type, device.tags) ? &held->second : nullptr;
}

// ------------------------------------------------------------------ deployments and their indexes

fleet::Deployment& Fleet::Core::enter(std::unique_ptr<Deployment> made) {
  Deployment& deployment = *made;
  deployments_[deployment.id] = std::move(made);
  if (!deployment.assigned) {
    general_[deployment.id] = &deployment;
    return deployment;
  }
  assigned_to_[deployment.assigned->key].push_back(deployment.id);
  if (deployment.external_id) external_[{*deployment.origin, *deployment.external_id}] = deployment.id;
  return deployment;
}

void Fleet::Core::drop_over() {
  for (auto it = deployments_.begin(); it != deployments_.end();) {
    const Deployment& deployment = *it->second;
    const bool gone = deployment.ended_ms.has_value() && deployment.rollout.counts().running == 0 &&
                      deployment.open_attempts == 0;
    if (!gone) {
      ++it;
      continue;
    }
    general_.erase(it->first);
    if (deployment.assigned) {
      const auto list = assigned_to_.find(deployment.assigned->key);
      std::erase(list->second, it->first);
      if (list->second.empty()) assigned_to_.erase(list);
      if (deployment.external_id) {
        const auto known = external_.find({*deployment.origin, *deployment.external_id});
        if (known != external_.end() && known->second == it->first) external_.erase(known);
      }
    }
    it = deployments_.erase(it);
  }
}

std::unique_ptr<fleet::Assigned> Fleet::Core::assigned_of(const state::AssignmentRow& row,
                                                          const std::string& store) const {
  auto confirmation = static_cast<rollout::Confirmation>(row.confirm);
  plugin::Assignment said = fleet::assignment_of(row.said);
  if (confirmation == rollout::Confirmation::agreed) {
    // Told, but not yet noted when everything ended.
    const auto waits = db_.read_sync([&](state::Reader& db) {
      return state::has_outbox(db, "store:" + store, said.external_id, OTAGATE_FEEDBACK_CONFIRMED);
    });
    if (waits && !*waits) confirmation = rollout::Confirmation::told;
  }
  std::optional<FeedbackKind> outcome;
  if (row.outcome) outcome = static_cast<FeedbackKind>(*row.outcome);
  const auto device = by_id_.find(row.device);
  rollout::Assignment machine(download_only(said), confirmation, outcome);
  return std::make_unique<fleet::Assigned>(
      fleet::Assigned{row.device, device == by_id_.end() ? 0 : device->second, std::move(said), machine});
}

void Fleet::Core::save_assignment(const Deployment& deployment) {
  if (!deployment.assigned) return;
  step([row = deployment.assigned->row(deployment.id)](state::Writer& db) {
    return state::put_assignment(db, row);
  });
}

// ------------------------------------------------------------------ what is said

void Fleet::Core::say(const std::string& store, const std::string& external_id, const std::string& device,
                      const rollout::Feedback& feedback) {
  state::OutboxRow row;
  row.id = next_outbox_++;
  row.destination = "store:" + store;
  row.subject = external_id;
  row.kind = static_cast<int>(feedback.kind);
  row.added_ms = wall_ms();
  row.body = json::serialize(json::object{{"device", device},
                                          {"done", static_cast<std::int64_t>(feedback.done)},
                                          {"total", static_cast<std::int64_t>(feedback.total)},
                                          {"code", feedback.code},
                                          {"message", feedback.message.substr(0, kMaxFeedbackText)}});
  step([row](state::Writer& db) { return state::put_outbox(db, row, OTAGATE_FEEDBACK_PROGRESS); });
  written_.emplace_back([weak = weak_from_this(), row] {
    if (const auto self = weak.lock()) self->host_.feedback_waits(row);
  });
}

void Fleet::Core::say(const Deployment& deployment, const std::optional<rollout::Feedback>& feedback) {
  if (feedback && deployment.external_id)
    say(*deployment.origin, *deployment.external_id, deployment.assigned->device, *feedback);
}

// ------------------------------------------------------------------ what stores wish

void Fleet::Core::assigned(const std::string& store, const plugin::Assignment& said) {
  // Should this write fail, it is taken once more: the store does not say it again.
  answer([weak = weak_from_this(), store, said](const Result<void>& durable) {
    const auto self = weak.lock();
    if (durable || !self) return;
    self->post_wish([core = self.get(), store, said] { core->assigned(store, said); });
  });
  Device* const device = find_device(said.device);
  if (device == nullptr) {
    event("assignment.refused", state::Severity::warning, nullptr,
          "store " + store + " assigned " + said.external_id + " to device " + said.device.substr(0, 128) +
              ", which is not known here",
          data_of(store, said.external_id, 0));
    return;
  }
  if (const auto open = external_.find({store, said.external_id}); open != external_.end()) {
    Deployment& deployment = *deployments_.at(open->second);
    if (!rollout::is_over(deployment.rollout.state())) return change_assigned(deployment, said);
  }
  // Behind every write that is on its way: what has ended a moment ago is there.
  const auto row =
      db_.write_sync([&](state::Writer& db) { return state::find_assigned(db, store, said.external_id); });
  if (!row) {
    log("fleet").error("reading assignment {} of store {}: {}", said.external_id, store,
                       row.error().message());
    if (row.error().code() == Code::busy) post_wish([this, store, said] { assigned(store, said); });
    return;
  }
  if (*row) {
    if (ended_stands(**row, said)) return;
    step([id = (*row)->id](state::Writer& db) { return state::release_external_id(db, id); });
    if (Deployment* const old = find_deployment((*row)->id); old != nullptr) old->external_id.reset();
    external_.erase({store, said.external_id});
  }
  make_assigned(store, said, *device);
}

bool Fleet::Core::ended_stands(const state::DeploymentRow& row, const plugin::Assignment& said) {
  const auto assignment =
      db_.read_sync([&](state::Reader& db) { return state::find_assignment(db, row.id); });
  if (!assignment || !*assignment || !(*assignment)->outcome) return false;
  const auto outcome = static_cast<FeedbackKind>(*(*assignment)->outcome);
  const plugin::Assignment before = fleet::assignment_of((*assignment)->said);
  if (outcome == FeedbackKind::cancelled || !fleet::same_release(before, said) ||
      download_only(before) != download_only(said))
    return false;
  // Upstream would not say it again if it had heard how it ended.
  const auto waits = db_.read_sync([&](state::Reader& db) {
    return state::has_outbox(db, "store:" + *row.origin, said.external_id, static_cast<int>(outcome));
  });
  if (waits && !*waits)
    say(*row.origin, said.external_id, said.device, {.kind = outcome, .message = row.why});
  return true;
}

void Fleet::Core::make_assigned(const std::string& store, const plugin::Assignment& said, Device& device) {
  const auto settings = assigners_.find(store);
  auto spec = fleet::spec_of(said, store,
                             settings == assigners_.end() ? config::StoreAssignments{} : settings->second);
  if (!spec) {
    event("assignment.refused", state::Severity::warning, &device,
          "store " + store + ", " + said.external_id + ": " + spec.error().message(),
          data_of(store, said.external_id, 0));
    return say(store, said.external_id, said.device,
               {.kind = FeedbackKind::failure, .message = spec.error().message()});
  }
  const std::int64_t id = next_.deployment++;
  rollout::Rollout spread(spec->policy);
  auto made = std::make_unique<Deployment>(id, std::move(*spec), std::move(spread));
  made->origin = store;
  made->external_id = said.external_id;
  made->created_ms = wall_ms();
  made->frozen = true;
  made->assigned = std::make_unique<fleet::Assigned>(fleet::Assigned{
      device.id, device.key, said, rollout::Assignment(download_only(said), said.needs_confirm)});
  Deployment& deployment = enter(std::move(made));
  step([row = deployment.row()](state::Writer& db) { return state::put_deployment(db, row); });
  save_assignment(deployment);
  event("deployment.created", state::Severity::notice, &device,
        "deployment " + std::to_string(id) + ": store " + store + " assigned " + said.external_id + ": " +
            said.parts.front().name + "/" + said.parts.front().version,
        data_of(store, said.external_id, id));
  outdo(device, deployment);
  deployment.rollout.join(device.key, false);
  save_member(deployment, device.key);
  release_of(deployment, device.type);
  settle_also_.push_back(device.key);
}

// What was assigned to the device before for one of these components is not wanted any more.
void Fleet::Core::outdo(const Device& device, const Deployment& by) {
  const auto has = [&](const rollout::Part& part) {
    return std::any_of(by.spec.parts.begin(), by.spec.parts.end(),
                       [&](const rollout::Part& mine) { return mine.component == part.component; });
  };
  each_assigned(device.key, [&](Deployment& older) {
    if (&older == &by || !std::any_of(older.spec.parts.begin(), older.spec.parts.end(), has)) return;
    give_up(older, "assignment " + *by.external_id + " of store " + *by.origin + " took its place");
  });
}

void Fleet::Core::change_assigned(Deployment& deployment, const plugin::Assignment& said) {
  fleet::Assigned& assigned = *deployment.assigned;
  if (fleet::to_json(assigned.said) == fleet::to_json(said)) return;
  if (said.device != assigned.device) {
    // The id names another device's update now: that is another assignment.
    const std::string store = *deployment.origin;
    give_up(deployment, "the store assigned it to " + said.device);
    step([id = deployment.id](state::Writer& db) { return state::release_external_id(db, id); });
    external_.erase({store, said.external_id});
    deployment.external_id.reset();
    if (Device* const device = find_device(said.device)) make_assigned(store, said, *device);
    return;
  }
  const bool other =
      !fleet::same_release(assigned.said, said) || download_only(assigned.said) != download_only(said);
  assigned.said = said;
  assigned.machine.said_again(download_only(said), said.needs_confirm);
  if (!said.needs_confirm && deployment.rollout.state() == rollout::RolloutState::needs_approval)
    apply(deployment, deployment.rollout.approve(), rollout::AttemptState::cancelled);
  if (other) {
    const auto settings = assigners_.find(*deployment.origin);
    auto spec = fleet::spec_of(said, *deployment.origin,
                               settings == assigners_.end() ? config::StoreAssignments{} : settings->second);
    if (!spec) return give_up(deployment, spec.error().message());
    // Attempts at what it was before end; whoever applies is let through, and goes on from there.
    if (const rollout::Member* const member = deployment.rollout.find(assigned.key);
        member != nullptr && member->attempt != 0)
      cancel(member->attempt, rollout::AttemptState::superseded, "the store assigned something else");
    deployment.spec = std::move(*spec);
    deployment.fingerprints.clear();
    for (auto& [type, release] : deployment.releases) {
      // Whoever waits for it goes on waiting.
      release->known = false;
      release->parts.clear();
      release->failures = 0;
      ask(deployment, type);
    }
    step([id = deployment.id, text = rollout::to_json(deployment.spec)](state::Writer& db) {
      return state::respec_deployment(db, id, text);
    });
    save(deployment);
    if (const auto device = devices_.find(assigned.key); device != devices_.end()) {
      outdo(device->second, deployment);
      release_of(deployment, device->second.type);
    }
  }
  save_assignment(deployment);
  settle_also_.push_back(assigned.key);
  wake(deployment);
}

void Fleet::Core::unassigned(const std::string& store, const std::string& external_id) {
  answer([weak = weak_from_this(), store, external_id](const Result<void>& durable) {
    const auto self = weak.lock();
    if (durable || !self) return;
    self->post_wish([core = self.get(), store, external_id] { core->unassigned(store, external_id); });
  });
  const auto open = external_.find({store, external_id});
  if (open != external_.end()) {
    Deployment& deployment = *deployments_.at(open->second);
    const rollout::Member* const member = deployment.rollout.find(deployment.assigned->key);
    const auto attempt = member == nullptr ? attempts_.end() : attempts_.find(member->attempt);
    const bool applying =
        attempt != attempts_.end() && attempt->second.machine.state() == rollout::AttemptState::applying;
    say(deployment, deployment.assigned->machine.cancel(applying));
    if (deployment.assigned->machine.outcome() == FeedbackKind::cancelled)
      apply(deployment, deployment.rollout.abort("cancelled by store " + store),
            rollout::AttemptState::cancelled);
    save_assignment(deployment);
    return;
  }
  const auto row =
      db_.write_sync([&](state::Writer& db) { return state::find_assigned(db, store, external_id); });
  rollout::Assignment machine(false, false);
  std::string device;
  if (row && *row) {
    const auto stored =
        db_.read_sync([&](state::Reader& db) { return state::find_assignment(db, (*row)->id); });
    if (stored && *stored) {
      machine = assigned_of(**stored, store)->machine;
      device = (*stored)->device;
    }
  }
  // Also of what was never heard of here: upstream waits for the word that nothing runs.
  say(store, external_id, device, machine.cancel(false));
}

void Fleet::Core::told_that_agreed(const std::string& store, const std::string& external_id) {
  const auto open = external_.find({store, external_id});
  if (open == external_.end()) return;
  Deployment& deployment = *deployments_.at(open->second);
  deployment.assigned->machine.told_that_agreed();
  save_assignment(deployment);
  settle_also_.push_back(deployment.assigned->key);
  wake(deployment);
}

// ------------------------------------------------------------------ what becomes of it

std::optional<milliseconds> Fleet::Core::held_back(const Deployment& deployment, const rollout::Moment& at) {
  if (!deployment.assigned) return std::nullopt;
  const fleet::Assigned& assigned = *deployment.assigned;
  if (!assigned.machine.may_begin() || assigned.said.window == OTAGATE_WINDOW_CLOSED) return 0ms;
  if (assigned.said.not_before_ms == 0) return std::nullopt;
  // As maintenance windows: closed while nobody knows the time.
  if (!at.synchronised) return 0ms;
  if (at.wall_ms >= assigned.said.not_before_ms) return std::nullopt;
  return milliseconds(assigned.said.not_before_ms - at.wall_ms);
}

void Fleet::Core::settle_assigned(Device& device, Deployment& deployment, const Claim* claim) {
  const rollout::Member* const member = deployment.rollout.find(device.key);
  if (member == nullptr || rollout::is_over(deployment.rollout.state())) return;
  const auto release = release_of(deployment, device.type);
  if (!deployment.claims()) return;
  rollout::Assignment& machine = deployment.assigned->machine;
  if (claim == nullptr) {
    if (member->attempt != 0)
      cancel(member->attempt, rollout::AttemptState::superseded, "another deployment decides what it runs");
    return say(deployment, machine.held_up("the gateway's own deployments decide what the device runs"));
  }
  if (!release->known || device.approval != rollout::Approval::approved) return;
  if (const auto why = objection(device, deployment, *release, claim->parts)) {
    // While it runs, the attempt itself decides.
    if (member->state != rollout::MemberState::running) give_up(deployment, *why);
    return;
  }
  const rollout::MemberState before = member->state;
  if (machine.may_begin() && runs_all(device, *release, claim->parts))
    apply(deployment, deployment.rollout.arrived(device.key), rollout::AttemptState::cancelled);
  const rollout::Member* const after = deployment.rollout.find(device.key);
  if (after != nullptr && after->state != before) save_member(deployment, device.key);
}

void Fleet::Core::give_up(Deployment& deployment, const std::string& why) {
  apply(deployment, deployment.rollout.abort(why), rollout::AttemptState::superseded);
}

void Fleet::Core::conclude(Deployment& deployment) {
  if (!deployment.assigned || !rollout::is_over(deployment.rollout.state()) || deployment.open_attempts > 0)
    return;
  fleet::Assigned& assigned = *deployment.assigned;
  if (!assigned.machine.outcome()) {
    const rollout::Counts& counts = deployment.rollout.counts();
    const bool aborted = deployment.rollout.state() == rollout::RolloutState::aborted;
    if (counts.succeeded > 0)
      say(deployment, assigned.machine.succeed({}));
    else if (counts.current > 0)
      say(deployment, assigned.machine.succeed("the device ran it already"));
    else
      say(deployment, assigned.machine.fail(aborted ? deployment.why : std::string()));
  }
  save_assignment(deployment);
  const auto device = devices_.find(assigned.key);
  if (assigned.machine.outcome() != FeedbackKind::success || device == devices_.end()) return;
  bool news = false;
  for (const rollout::Part& part : deployment.spec.parts)
    news =
        std::exchange(device->second.held[part.component], *deployment.origin) != *deployment.origin || news;
  if (news) save(device->second);
}

// A report has moved the attempt: upstream is told, sparingly.
void Fleet::Core::follow(const Attempt& attempt, rollout::AttemptState before) {
  Deployment& deployment = *deployments_.at(attempt.deployment);
  if (!deployment.assigned) return;
  rollout::Assignment& machine = deployment.assigned->machine;
  const rollout::AttemptState state = attempt.machine.state();
  const fleet::Extent extent = fleet::size_of(attempt);
  if (state == rollout::AttemptState::downloading)
    say(deployment, machine.progress(extent.done, extent.total, now()));
  const bool last = attempt.machine.part() + 1 == attempt.parts.size();
  if (state == rollout::AttemptState::downloaded && before != state && last)
    say(deployment, machine.downloaded(extent.total));
}

}  // namespace otagate::gateway
