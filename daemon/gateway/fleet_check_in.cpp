// Fleet::Core: what devices and their transports say, and what they are answered.
#include <algorithm>

#include "core/clock.hpp"
#include "firmware/version.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

using rollout::AttemptState;
using rollout::MemberState;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

// What is not there yet is worth asking for soon.
constexpr milliseconds kSoon = 5s;
constexpr milliseconds kLongestHold = 60s;
// How often progress that changes no state is written.
constexpr milliseconds kSaveOffset = 10s;
constexpr milliseconds kSaveToken = 1s;
constexpr milliseconds kRateWindow = 2s;

const std::string* reported(const plugin::CheckIn& in, std::string_view component) {
  for (const auto& [name, version] : in.versions) {
    if (name == component) return &version;
  }
  return nullptr;
}

// What the check-in says about the part its attempt is at.
rollout::Runs judge(const plugin::CheckIn& in, const fleet::Attempt& attempt) {
  const fleet::OfferedPart& part = attempt.parts[attempt.machine.part()];
  const std::string* const version = reported(in, part.component);
  if (version == nullptr) return rollout::Runs::other;
  const bool target = version->starts_with("sha256:") ? Digest::parse(*version) == part.digest
                                                      : firmware::same(*version, part.version);
  if (target) return rollout::Runs::target;
  return in.midway ? rollout::Runs::other : rollout::Runs::restarted;
}

void measure(fleet::Attempt& attempt, milliseconds at) {
  const std::uint64_t offset = attempt.machine.offset();
  if (attempt.window == 0ms || offset < attempt.window_offset) {
    attempt.window = at;
    attempt.window_offset = offset;
  } else if (at - attempt.window >= kRateWindow) {
    attempt.rate =
        (offset - attempt.window_offset) * 1000 / static_cast<std::uint64_t>((at - attempt.window).count());
    attempt.window = at;
    attempt.window_offset = offset;
  }
}

std::uint32_t to_abi(rollout::Answer answer) {
  switch (answer) {
    case rollout::Answer::go_on: return OTAGATE_CONTINUE;
    case rollout::Answer::stop: return OTAGATE_STOP;
    case rollout::Answer::confirm: return OTAGATE_CONFIRM;
    case rollout::Answer::revert: return OTAGATE_REVERT;
  }
  return OTAGATE_STOP;
}

// OTAGATE_ATTEMPT_* in order.
constexpr rollout::Report::Kind kKinds[] = {
    rollout::Report::Kind::downloading,   rollout::Report::Kind::downloaded, rollout::Report::Kind::applying,
    rollout::Report::Kind::needs_confirm, rollout::Report::Kind::confirmed,  rollout::Report::Kind::failed,
    rollout::Report::Kind::reverted};

}  // namespace

void Fleet::Core::check_in(const CheckInPtr& request) {
  {
    const std::scoped_lock lock(shared_mutex_);
    ++counts_.check_ins;
  }
  auto device = admit(*request);
  if (!device) return refuse(request->reply, std::move(device).error());
  request->device = (*device)->key;
  if (request->in.timeout > 0ms)
    request->deadline = now() + std::min<milliseconds>(request->in.timeout, kLongestHold);
  // One device waits once: whoever held before has gone, or will ask again.
  if (const auto before = held_.find(request->device); before != held_.end()) {
    const CheckInPtr old = before->second;
    held_until_.erase({old->deadline, old->device});
    held_.erase(before);
    plugin::Offer none;
    none.next_after = config_.next_check_in;
    answer(old->reply, none);
  }
  serve(request);
}

// Also again, when something has changed for whoever waits.
void Fleet::Core::serve(const CheckInPtr& request) {
  if (held_.erase(request->device) != 0) held_until_.erase({request->deadline, request->device});
  const auto found = devices_.find(request->device);
  if (found == devices_.end())
    return refuse(request->reply, Error(Code::not_found, "the device was removed"));
  Device& device = found->second;
  depends_on(device);
  if (device.attempt != 0 && serve_open(request, device)) return;
  settle(device);
  milliseconds again = 0ms;
  const auto worth = [&](milliseconds after) {
    if (after > 0ms && (again == 0ms || after < again)) again = after;
  };
  for (const Claim& claim : claims(device)) {
    Deployment& deployment = *claim.deployment;
    const auto release = release_of(deployment, device.type);
    if (!release->known) {
      release->waiters.push_back([this, request] { serve(request); });
      return;
    }
    if (runs_all(device, *release, claim.parts)) continue;
    if (objection(device, deployment, *release, claim.parts)) continue;
    if (const auto wait = held_back(deployment, moment())) {
      worth(*wait);
      continue;
    }
    const rollout::Turn turn = deployment.rollout.ask(device.key, moment());
    if (turn.kind != rollout::Turn::Kind::begin) {
      worth(turn.again);
      continue;
    }
    const bool streams = deployment.spec.policy.stream &&
                         std::all_of(claim.parts.begin(), claim.parts.end(),
                                     [&](std::size_t i) { return release->parts[i].digest.has_value(); });
    if (!release->ready() && !streams) {
      worth(kSoon);
      continue;
    }
    Attempt& attempt = begin(deployment, device, *release, claim.parts);
    keep(deployment);
    return answer(request->reply, offer_of(attempt));
  }
  hold(request, again);
}

// False: it has no open attempt any more.
bool Fleet::Core::serve_open(const CheckInPtr& request, Device& device) {
  Attempt& attempt = attempts_.at(device.attempt);
  const std::uint32_t part = attempt.machine.part();
  attempt.machine.checked_in(judge(request->in, attempt), now());
  const bool changed = moved(attempt) || attempt.machine.part() != part;
  if (rollout::is_final(attempt.machine.state())) {
    // A device on trial waits for this answer before it keeps what it runs.
    request->deadline = 0ms;
    end(attempt);
    return false;
  }
  if (changed) save(attempt);
  answer(request->reply, offer_of(attempt));
  return true;
}

void Fleet::Core::hold(const CheckInPtr& request, milliseconds again) {
  if (request->deadline > now()) {
    held_[request->device] = request;
    held_until_.emplace(request->deadline, request->device);
    return;
  }
  plugin::Offer none;
  none.next_after =
      again == 0ms ? config_.next_check_in : std::clamp(again, milliseconds(1s), config_.next_check_in);
  answer(request->reply, none);
}

void Fleet::Core::release_held(milliseconds at_ms) {
  while (!held_until_.empty() && held_until_.begin()->first <= at_ms) {
    const DeviceKey key = held_until_.begin()->second;
    held_until_.erase(held_until_.begin());
    const auto found = held_.find(key);
    if (found == held_.end()) continue;
    const CheckInPtr request = found->second;
    held_.erase(found);
    request->deadline = 0ms;
    serve(request);
  }
}

void Fleet::Core::progress(const std::string& instance, const std::shared_ptr<const Principal>& principal,
                           const plugin::Progress& report, const Fleet::Reply<std::uint32_t>& reply) {
  const auto found = attempts_.find(report.attempt);
  if (found == attempts_.end()) return progress_of_ended(report, reply);
  Attempt& attempt = found->second;
  Device& device = at(attempt.device);
  depends_on(device);
  const bool other = !report.device.empty() && report.device != device.id;
  const bool bound = !principal->device.empty() && principal->device != device.id && !principal->gateway;
  if (other || bound) {
    event("device.refused", state::Severity::warning, &device,
          "somebody else reported on attempt " + std::to_string(attempt.id) + " by " + instance);
    return refuse(reply, Error(Code::not_found, "this device has no such attempt"));
  }
  device.last_seen_ms = wall_ms();
  rollout::Report said;
  said.kind = kKinds[report.state];
  said.part = report.part + attempt.first_offered;
  said.offset = report.offset;
  said.code = report.code;
  said.message = report.message;
  const std::uint32_t part = attempt.machine.part();
  const AttemptState before = attempt.machine.state();
  const rollout::Answer what = attempt.machine.report(said, now());
  follow(attempt, before);
  const bool changed = moved(attempt) || attempt.machine.part() != part;
  measure(attempt, now());
  if (rollout::is_final(attempt.machine.state())) {
    end(attempt);
    return answer(reply, to_abi(what));
  }
  const bool token = !report.resume_token.empty() && report.resume_token != attempt.resume_token;
  if (token) attempt.resume_token = report.resume_token;
  const milliseconds since = now() - attempt.saved;
  const bool further = attempt.machine.offset() != attempt.saved_offset;
  if (changed || (token && since >= kSaveToken) || (further && since >= kSaveOffset)) save(attempt);
  answer(reply, to_abi(what));
}

// Devices repeat what they were not answered: the same end again is no error.
void Fleet::Core::progress_of_ended(const plugin::Progress& report,
                                    const Fleet::Reply<std::uint32_t>& reply) {
  auto row = std::make_shared<std::optional<state::AttemptRow>>();
  db_.read(
      [row, id = static_cast<std::int64_t>(report.attempt)](state::Reader& db) -> Result<void> {
        auto found = state::find_attempt(db, id);
        if (!found) return fail(std::move(found).error());
        *row = std::move(*found);
        return {};
      },
      [row, report, reply](const Result<void>& outcome) {
        if (!outcome) return reply(fail(outcome.error()));
        const bool theirs =
            *row && (report.device.empty() || report.device == (*row)->device_name) && (*row)->ended_ms;
        if (!theirs) return reply(fail(Code::not_found, "this device has no such attempt"));
        const auto ended = static_cast<AttemptState>((*row)->state);
        // What was said on the way to success is only late.
        const bool same =
            ended == AttemptState::confirmed
                ? report.state <= OTAGATE_ATTEMPT_CONFIRMED
                : (ended == AttemptState::failed && report.state == OTAGATE_ATTEMPT_FAILED) ||
                      (ended == AttemptState::reverted && report.state == OTAGATE_ATTEMPT_REVERTED);
        if (!same)
          return reply(
              fail(Code::precondition, "the attempt is over: " + std::string(rollout::to_string(ended))));
        reply(ended == AttemptState::confirmed ? OTAGATE_CONTINUE : OTAGATE_STOP);
      });
}

}  // namespace otagate::gateway
