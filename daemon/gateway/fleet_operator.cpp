// Fleet::Core: what operators change.
#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/clock.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

using rollout::AttemptState;

constexpr std::size_t kMaxEdits = 10'000;
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kMaxOpenDeployments = 1'000;

Error no_device(const std::string& id) { return {Code::not_found, "there is no device " + id}; }

Result<std::string> make_secret() {
  std::array<std::byte, kTokenBytes> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail(errno_error("getrandom", errno));
  return to_hex(bytes);
}

std::string attempt_message(std::string_view what, const std::string& why) {
  return std::string(what) + (why.empty() ? "" : ": " + why);
}

}  // namespace

void Fleet::Core::edit_devices(const std::vector<rollout::DeviceEdit>& edits,
                               const Fleet::Reply<std::uint64_t>& reply) {
  if (edits.size() > kMaxEdits)
    return refuse(reply, Error(Code::invalid, "at most 10,000 devices at once; send them in portions"));
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (auto good = check_edit(edits[i]); !good)
      return refuse(reply, std::move(good).error().with_context("device " + std::to_string(i + 1)));
  }
  std::uint64_t made = 0;
  bool tokens = false;
  for (const rollout::DeviceEdit& edit : edits) {
    Device* device = find_device(edit.id);
    if (device == nullptr) {
      Device fresh;
      fresh.key = next_device_++;
      fresh.id = edit.id;
      fresh.first_seen_ms = wall_ms();
      device = &add_device(std::move(fresh));
      ++made;
    }
    const auto approval = device->approval;
    const std::string type = device->type;
    if (edit.type) device->type = *edit.type;
    if (edit.approval) device->approval = *edit.approval;
    if (edit.tags) {
      device->tags = *edit.tags;
      std::sort(device->tags.begin(), device->tags.end());
      device->tags.erase(std::unique(device->tags.begin(), device->tags.end()), device->tags.end());
    }
    if (edit.versions) device->versions = *edit.versions;
    if (edit.attributes) device->attributes = *edit.attributes;
    tokens = tokens || (device->token && (approval != device->approval || type != device->type));
    if (approval != device->approval)
      event("device." + std::string(rollout::to_string(device->approval)), state::Severity::notice, device,
            "by an operator");
    if (device->approval == rollout::Approval::blocked && device->attempt != 0)
      cancel(device->attempt, AttemptState::cancelled, "the device was blocked");
    save(*device);
    settle(*device);
  }
  if (made > 0)
    event("device.entered", state::Severity::info, nullptr, std::to_string(made) + " devices by an operator");
  if (tokens) publish_tokens();
  answer(reply, made);
}

void Fleet::Core::remove_device(const std::string& id, const Fleet::Reply<void>& reply) {
  Device* const device = find_device(id);
  if (device == nullptr) return refuse(reply, no_device(id));
  const DeviceKey key = device->key;
  if (const auto held = held_.find(key); held != held_.end()) {
    const CheckInPtr request = held->second;
    held_until_.erase({request->deadline, key});
    held_.erase(held);
    refuse(request->reply, Error(Code::not_found, "the device was removed"));
  }
  if (device->attempt != 0) {
    // Also one that applies: nobody will hear of it again.
    Attempt& attempt = attempts_.at(device->attempt);
    host_.revoke(device->transport, attempt.id, 0);
    attempt.machine.abandon("the device was removed");
    end(attempt);
  }
  each_assigned(key, [&](Deployment& deployment) { give_up(deployment, "the device was removed"); });
  for (auto& [number, deployment] : deployments_) {
    if (deployment->rollout.find(key) != nullptr) leave(*deployment, *device, AttemptState::cancelled);
  }
  const bool token = device->token.has_value();
  event("device.removed", state::Severity::notice, device, "by an operator");
  step([key](state::Writer& db) { return state::delete_device(db, key); });
  host_.device_gone(id);
  by_id_.erase(by_id_.find(id));
  devices_.erase(key);
  {
    const std::scoped_lock lock(shared_mutex_);
    counts_.devices = devices_.size();
  }
  if (token) publish_tokens();
  answer([reply](const Result<void>& durable) { reply(durable); });
}

void Fleet::Core::make_token(const std::string& id, const Fleet::Reply<std::string>& reply) {
  Device* const device = find_device(id);
  if (device == nullptr) return refuse(reply, no_device(id));
  auto secret = make_secret();
  if (!secret) return refuse(reply, std::move(secret).error());
  device->token = Credentials::token_fingerprint(*secret);
  save(*device);
  publish_tokens();
  event("device.token", state::Severity::notice, device, "a new token was made; an earlier one is void");
  answer(reply, std::move(*secret));
}

void Fleet::Core::revoke_token(const std::string& id, const Fleet::Reply<void>& reply) {
  Device* const device = find_device(id);
  if (device == nullptr) return refuse(reply, no_device(id));
  if (device->token) {
    device->token.reset();
    save(*device);
    publish_tokens();
    event("device.token", state::Severity::notice, device, "its token was revoked");
  }
  answer([reply](const Result<void>& durable) { reply(durable); });
}

// ------------------------------------------------------------------ deployments

void Fleet::Core::deploy(const rollout::Spec& spec, const Fleet::Reply<std::int64_t>& reply) {
  const auto open = std::count_if(general_.begin(), general_.end(), [](const auto& item) {
    return !rollout::is_over(item.second->rollout.state());
  });
  if (static_cast<std::size_t>(open) >= kMaxOpenDeployments)
    return refuse(reply, Error(Code::busy, "1,000 deployments are open; abort those that are not needed"));
  const std::int64_t id = next_.deployment++;
  auto made = std::make_unique<Deployment>(id, spec, rollout::Rollout(spec.policy));
  Deployment& deployment = enter(std::move(made));
  deployment.created_ms = wall_ms();
  step([row = deployment.row()](state::Writer& db) { return state::put_deployment(db, row); });
  event("deployment.created", state::Severity::notice, nullptr,
        "deployment " + std::to_string(id) + (spec.name.empty() ? "" : " \"" + spec.name + "\"") + ": " +
            spec.parts.front().name + "/" + spec.parts.front().version,
        R"({"deployment":)" + std::to_string(id) + "}");
  bool any = false;
  for (const auto& [key, device] : devices_) {
    if (!deployment.match(device).matches) continue;
    any = true;
    // Its bytes come before anybody asks for them.
    release_of(deployment, device.type);
    if (!spec.policy.once) continue;
    deployment.rollout.join(key, false);
  }
  if (!any) release_of(deployment, spec.target.type);
  deployment.frozen = spec.policy.once;
  if (deployment.frozen) {
    for (const auto& [key, member] : deployment.rollout.members()) save_member(deployment, key);
  }
  settle_all_ = true;
  answer(reply, id);
}

void Fleet::Core::act(std::int64_t id, Action action, const std::string& why,
                      const Fleet::Reply<rollout::DeploymentView>& reply) {
  Deployment* const deployment = find_deployment(id);
  if (deployment == nullptr) return act_on_ended(id, action, why, reply);
  rollout::Rollout& rollout = deployment->rollout;
  rollout::Changes changes;
  const bool asked = rollout.state() == rollout::RolloutState::needs_approval;
  if (deployment->assigned && asked && action == Action::approve)
    say(*deployment, deployment->assigned->machine.agreed());
  if (deployment->assigned && asked && action == Action::abort)
    say(*deployment, deployment->assigned->machine.deny(attempt_message("an operator did not agree", why)));
  switch (action) {
    case Action::approve: changes = rollout.approve(); break;
    case Action::pause: changes = rollout.pause(attempt_message("paused by an operator", why)); break;
    case Action::resume: changes = rollout.resume(); break;
    case Action::abort: changes = rollout.abort(attempt_message("aborted by an operator", why)); break;
    case Action::retry: {
      const std::uint32_t failed = rollout.counts().failed;
      changes = rollout.retry();
      if (!changes.state && failed == 0 && rollout.state() != rollout::RolloutState::active) break;
      for (const auto& [key, member] : rollout.members()) save_member(*deployment, key);
      changes.state = true;
      changes.why = "failed devices try again";
      break;
    }
  }
  if (!changes.state && !changes.wave) {
    return refuse(reply, Error(Code::precondition, "deployment " + std::to_string(id) + " is " +
                                                       std::string(rollout::to_string(rollout.state())) +
                                                       ": that cannot be done to it now"));
  }
  apply(*deployment, changes, AttemptState::cancelled);
  save(*deployment);
  save_assignment(*deployment);
  answer(reply, view(*deployment));
}

// One that has completed may be brought back for those that failed.
void Fleet::Core::act_on_ended(std::int64_t id, Action action, const std::string& why,
                               const Fleet::Reply<rollout::DeploymentView>& reply) {
  auto row = db_.read_sync([id](state::Reader& db) { return state::find_deployment(db, id); });
  if (!row) return refuse(reply, std::move(row).error());
  if (!*row) return refuse(reply, Error(Code::not_found, "there is no deployment " + std::to_string(id)));
  const auto state = static_cast<rollout::RolloutState>((*row)->state);
  if ((*row)->origin && action == Action::retry) {
    return refuse(reply, Error(Code::precondition, "store " + *(*row)->origin +
                                                       " was told how it ended; assign it anew there"));
  }
  if (action != Action::retry || state != rollout::RolloutState::completed) {
    return refuse(reply, Error(Code::precondition, "deployment " + std::to_string(id) + " is " +
                                                       std::string(rollout::to_string(state)) +
                                                       ": nothing can be done to it any more"));
  }
  auto deployment = deployment_of(**row);
  if (!deployment) return refuse(reply, Error(Code::internal, "the deployment's row cannot be read"));
  if (auto loaded = load_members(*deployment); !loaded) return refuse(reply, std::move(loaded).error());
  enter(std::move(deployment));
  over_ = true;
  act(id, action, why, reply);
}

}  // namespace otagate::gateway
