#include "rollout/rollout.hpp"

#include <algorithm>
#include <utility>

namespace otagate::rollout {

std::string_view to_string(RolloutState state) {
  switch (state) {
    case RolloutState::needs_approval: return "needs_approval";
    case RolloutState::active: return "active";
    case RolloutState::paused: return "paused";
    case RolloutState::completed: return "completed";
    case RolloutState::aborted: return "aborted";
  }
  return "unknown";
}

bool is_over(RolloutState state) {
  return state == RolloutState::completed || state == RolloutState::aborted;
}

std::string_view to_string(MemberState state) {
  switch (state) {
    case MemberState::waiting: return "waiting";
    case MemberState::running: return "running";
    case MemberState::backing_off: return "backing_off";
    case MemberState::succeeded: return "succeeded";
    case MemberState::failed: return "failed";
    case MemberState::current: return "current";
  }
  return "unknown";
}

std::string_view to_string(Turn::Kind kind) {
  using Kind = Turn::Kind;
  switch (kind) {
    case Kind::begin: return "begins";
    case Kind::running: return "is at it";
    case Kind::done: return "is done";
    case Kind::no_member: return "does not match";
    case Kind::needs_approval: return "the deployment waits for approval";
    case Kind::paused: return "the deployment is paused";
    case Kind::over: return "the deployment is over";
    case Kind::window_closed: return "no maintenance window is open";
    case Kind::clock_unknown: return "the clock is not synchronised, so no maintenance window is open";
    case Kind::wave_full: return "waits for the next wave";
    case Kind::concurrency: return "as many devices as may be are at it";
    case Kind::backing_off: return "failed and will try again";
  }
  return "unknown";
}

Rollout::Rollout(const Policy& policy)
    : Rollout(policy, policy.approval ? RolloutState::needs_approval : RolloutState::active, 0, 0) {}

Rollout::Rollout(Policy policy, RolloutState state, std::uint32_t wave, std::uint32_t forgiven)
    : policy_(std::move(policy)), state_(state), forgiven_(forgiven) {
  if (policy_.waves.empty()) policy_.waves.push_back(Amount::all());
  wave_ = std::min(wave, static_cast<std::uint32_t>(policy_.waves.size() - 1));
}

const Member* Rollout::find(DeviceKey device) const {
  const auto found = members_.find(device);
  return found == members_.end() ? nullptr : &found->second;
}

std::uint32_t Rollout::limit() const {
  const Amount& wave = policy_.waves[wave_];
  // A count holds also while fewer devices are known: those who match later have to pass it, too.
  return wave.percent ? wave.of(counts_.members - counts_.current) : wave.value;
}

void Rollout::count(const Member& member, int by) {
  const auto add = [by](std::uint32_t& number) {
    number = static_cast<std::uint32_t>(static_cast<int>(number) + by);
  };
  add(counts_.members);
  if (member.admitted) add(counts_.admitted);
  if (member.admitted && member.state == MemberState::succeeded) add(admitted_succeeded_);
  switch (member.state) {
    case MemberState::waiting:
    case MemberState::backing_off: add(counts_.waiting); break;
    case MemberState::running: add(counts_.running); break;
    case MemberState::succeeded: add(counts_.succeeded); break;
    case MemberState::failed: add(counts_.failed); break;
    case MemberState::current: add(counts_.current); break;
  }
}

void Rollout::set(Member& member, MemberState state) {
  count(member, -1);
  member.state = state;
  count(member, 1);
}

void Rollout::join(DeviceKey device, bool is_current) {
  Member member;
  if (is_current) member.state = MemberState::current;
  if (members_.emplace(device, member).second) count(member, 1);
}

void Rollout::restore(DeviceKey device, const Member& member) {
  if (members_.emplace(device, member).second) count(member, 1);
}

void Rollout::running(DeviceKey device, AttemptId attempt) {
  const auto found = members_.find(device);
  if (found == members_.end()) return;
  found->second.attempt = attempt;
  set(found->second, MemberState::running);
}

Changes Rollout::leave(DeviceKey device) {
  Changes changes;
  const auto found = members_.find(device);
  if (found == members_.end()) return changes;
  if (found->second.attempt != 0) changes.cancel.push_back(found->second.attempt);
  count(found->second, -1);
  members_.erase(found);
  evaluate(changes);
  return changes;
}

Turn Rollout::ask(DeviceKey device, const Moment& at) const {
  using Kind = Turn::Kind;
  const Member* const member = find(device);
  if (member == nullptr) return {Kind::no_member};
  if (member->state == MemberState::running) return {Kind::running, member->attempt};
  if (member->state != MemberState::waiting && member->state != MemberState::backing_off) return {Kind::done};
  if (state_ == RolloutState::needs_approval) return {Kind::needs_approval};
  if (state_ == RolloutState::paused) return {Kind::paused};
  if (is_over(state_)) return {Kind::over};
  if (member->state == MemberState::backing_off && at.now < member->not_before)
    return {Kind::backing_off, 0, member->not_before - at.now};
  if (!policy_.windows.empty()) {
    if (!at.synchronised) {
      if (!policy_.window_without_clock) return {Kind::clock_unknown};
    } else if (!is_open(policy_.windows, local_time(at.wall_ms))) {
      const auto opens = opens_at(policy_.windows, at.wall_ms);
      return {Kind::window_closed, 0, std::chrono::milliseconds(opens ? *opens - at.wall_ms : 0)};
    }
  }
  if (!member->admitted && counts_.admitted >= limit()) return {Kind::wave_full};
  if (policy_.concurrency != 0 && counts_.running >= policy_.concurrency) return {Kind::concurrency};
  return {Kind::begin};
}

void Rollout::began(DeviceKey device, AttemptId attempt) {
  Member& member = members_.at(device);
  count(member, -1);
  member.state = MemberState::running;
  member.admitted = true;
  member.attempts++;
  member.attempt = attempt;
  count(member, 1);
}

void Rollout::drifted(DeviceKey device) {
  const auto found = members_.find(device);
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.state != MemberState::succeeded && member.state != MemberState::current) return;
  set(member, member.attempts >= policy_.attempts ? MemberState::failed : MemberState::waiting);
}

Changes Rollout::arrived(DeviceKey device) {
  Changes changes;
  const auto found = members_.find(device);
  if (found == members_.end()) return changes;
  Member& member = found->second;
  if (member.state != MemberState::waiting && member.state != MemberState::backing_off &&
      member.state != MemberState::failed)
    return changes;
  set(member, member.admitted ? MemberState::succeeded : MemberState::current);
  evaluate(changes);
  return changes;
}

std::chrono::milliseconds Rollout::back_off(std::uint32_t attempts) const {
  auto wait = policy_.retry_first;
  for (std::uint32_t i = 1; i < attempts && wait < policy_.retry_most; ++i) wait *= 2;
  return std::min(wait, policy_.retry_most);
}

Changes Rollout::ended(DeviceKey device, AttemptId attempt, AttemptState how, const Moment& at) {
  Changes changes;
  const auto found = members_.find(device);
  if (found == members_.end() || found->second.attempt != attempt || attempt == 0) return changes;
  Member& member = found->second;
  member.attempt = 0;
  switch (how) {
    case AttemptState::confirmed: set(member, MemberState::succeeded); break;
    case AttemptState::cancelled:
    case AttemptState::superseded:
      member.attempts--;  // no fault of the device
      set(member, MemberState::waiting);
      break;
    default:
      if (member.attempts >= policy_.attempts) {
        set(member, MemberState::failed);
      } else {
        member.not_before = at.now + back_off(member.attempts);
        set(member, MemberState::backing_off);
      }
  }
  evaluate(changes);
  return changes;
}

void Rollout::enter(RolloutState state, std::string why, Changes& changes) {
  state_ = state;
  changes.state = true;
  changes.why = std::move(why);
  if (state != RolloutState::aborted) return;
  for (const auto& [device, member] : members_)
    if (member.attempt != 0) changes.cancel.push_back(member.attempt);
}

// Too many of the wave's places are held by devices that failed.
bool Rollout::in_vain() const {
  const std::uint32_t places = limit();
  return places > 0 && counts_.admitted >= places && counts_.failed > places - policy_.advance_at.of(places);
}

void Rollout::evaluate(Changes& changes) {
  if (state_ != RolloutState::active) return;
  const std::uint32_t failures = counts_.failed - std::min(forgiven_, counts_.failed);
  const auto reached = [&](const std::optional<Amount>& amount) {
    return amount && failures > 0 && failures >= (amount->percent ? amount->of(limit()) : amount->value);
  };
  const std::string failed =
      std::to_string(counts_.failed) + " devices failed in wave " + std::to_string(wave_ + 1);
  if (reached(policy_.abort_at)) return enter(RolloutState::aborted, failed, changes);
  if (reached(policy_.pause_at)) return enter(RolloutState::paused, failed, changes);

  while (wave_ + 1 < policy_.waves.size()) {
    const std::uint32_t places = limit();
    if (places == 0 || admitted_succeeded_ < policy_.advance_at.of(places)) {
      if (in_vain())
        enter(RolloutState::paused,
              failed + ", so that " + policy_.advance_at.text() + " of it cannot succeed any more", changes);
      return;
    }
    ++wave_;
    changes.wave = true;
  }
  if (policy_.once && counts_.waiting == 0 && counts_.running == 0)
    enter(RolloutState::completed, std::to_string(counts_.succeeded) + " devices updated", changes);
}

Changes Rollout::approve() {
  Changes changes;
  if (state_ == RolloutState::needs_approval) {
    enter(RolloutState::active, "approved", changes);
    evaluate(changes);
  }
  return changes;
}

Changes Rollout::pause(std::string why) {
  Changes changes;
  if (state_ == RolloutState::active) enter(RolloutState::paused, std::move(why), changes);
  return changes;
}

Changes Rollout::resume() {
  Changes changes;
  if (state_ != RolloutState::paused) return changes;
  forgiven_ = counts_.failed;
  if (in_vain() && wave_ + 1 < policy_.waves.size()) {
    ++wave_;
    changes.wave = true;
  }
  enter(RolloutState::active, "resumed", changes);
  evaluate(changes);
  return changes;
}

Changes Rollout::abort(std::string why) {
  Changes changes;
  if (!is_over(state_)) enter(RolloutState::aborted, std::move(why), changes);
  return changes;
}

Changes Rollout::retry() {
  Changes changes;
  if (state_ == RolloutState::aborted) return changes;
  forgiven_ = 0;
  for (auto& [device, member] : members_) {
    if (member.state != MemberState::failed) continue;
    member.attempts = 0;
    set(member, MemberState::waiting);
  }
  if (state_ != RolloutState::active && state_ != RolloutState::needs_approval)
    enter(RolloutState::active, "failed devices try again", changes);
  evaluate(changes);
  return changes;
}

}  // namespace otagate::rollout
