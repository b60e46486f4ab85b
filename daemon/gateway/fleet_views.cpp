// Fleet::Core: what operators are shown.
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

rollout::AttemptView Fleet::Core::view(const Attempt& attempt) const {
  auto view = fleet::view_of(attempt.row(devices_.at(attempt.device)));
  view.rate = attempt.machine.state() == rollout::AttemptState::downloading ? attempt.rate : 0;
  return view;
}

rollout::DeviceView Fleet::Core::view(const Device& device) const {
  rollout::DeviceView view;
  view.id = device.id;
  view.type = device.type;
  view.approval = device.approval;
  view.tags = device.tags;
  view.transport = device.transport;
  view.address = device.address;
  view.versions = device.versions;
  view.attributes = device.attributes;
  view.first_seen_ms = device.first_seen_ms;
  view.last_seen_ms = device.last_seen_ms;
  view.has_token = device.token.has_value();
  if (device.attempt != 0) view.attempt = this->view(attempts_.at(device.attempt));
  return view;
}

rollout::DeploymentView Fleet::Core::view(const Deployment& deployment) const {
  rollout::DeploymentView view;
  view.id = deployment.id;
  view.spec = deployment.spec;
  view.state = deployment.rollout.state();
  view.why = deployment.why;
  view.wave = deployment.rollout.wave();
  view.limit = deployment.rollout.limit();
  view.counts = deployment.rollout.counts();
  view.origin = deployment.origin.value_or("");
  view.external_id = deployment.external_id.value_or("");
  view.created_ms = deployment.created_ms;
  view.ended_ms = deployment.ended_ms;
  for (const auto& [type, release] : deployment.releases) {
    if (const std::string problem = release->problem(); !problem.empty()) view.problems.push_back(problem);
  }
  const rollout::Policy& policy = deployment.spec.policy;
  if (view.state == rollout::RolloutState::active && !policy.windows.empty()) {
    const rollout::Moment at = moment();
    if (!at.synchronised && !policy.window_without_clock)
      view.problems.emplace_back("the clock is not synchronised, so no maintenance window is open");
    else if (at.synchronised && !rollout::is_open(policy.windows, rollout::local_time(at.wall_ms)))
      view.problems.emplace_back("no maintenance window is open now");
  }
  return view;
}

rollout::DeploymentView Fleet::Core::view(const state::DeploymentRow& row) {
  rollout::DeploymentView view;
  view.id = row.id;
  if (auto spec = rollout::parse_spec(row.spec)) view.spec = std::move(*spec);
  view.state = static_cast<rollout::RolloutState>(row.state);
  view.why = row.why;
  view.wave = row.wave;
  view.origin = row.origin.value_or("");
  view.external_id = row.external_id.value_or("");
  view.created_ms = row.created_ms;
  view.ended_ms = row.ended_ms;
  return view;
}

void Fleet::Core::device(const std::string& id, const Fleet::Reply<rollout::DeviceView>& reply) {
  const Device* const device = find_device(id);
  if (device == nullptr) return refuse(reply, Error(Code::not_found, "there is no device " + id));
  answer(reply, view(*device));
}

}  // namespace otagate::gateway
