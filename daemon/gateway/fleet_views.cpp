// Fleet::Core: what operators are shown.
#include <algorithm>

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
  for (const auto& [component, store] : device.held) {
    if (holder(device, component) != nullptr) view.assigned_by[component] = store;
  }
  each_assigned(device.key, [&](const Deployment& deployment) {
    if (!deployment.claims()) return;
    for (const rollout::Part& part : deployment.spec.parts)
      view.assigned_by[part.component] = *deployment.origin;
  });
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
  const rollout::Moment at = moment();
  if (deployment.assigned) {
    const fleet::Assigned& assigned = *deployment.assigned;
    static constexpr const char* kModes[] = {"forced", "soft", "download_only"};
    static constexpr const char* kWindows[] = {"none", "open", "closed"};
    view.assignment = rollout::AssignmentView{assigned.device,
                                              kModes[std::min(assigned.said.mode, 2u)],
                                              kWindows[std::min(assigned.said.window, 2u)],
                                              assigned.said.not_before_ms,
                                              assigned.machine.confirmation(),
                                              assigned.machine.outcome()};
    const auto held = hold_ups(deployment, at);
    view.problems.insert(view.problems.end(), held.begin(), held.end());
  }
  if (view.state == rollout::RolloutState::active && !policy.windows.empty()) {
    if (!at.synchronised && !policy.window_without_clock)
      view.problems.emplace_back("the clock is not synchronised, so no maintenance window is open");
    else if (at.synchronised && !rollout::is_open(policy.windows, rollout::local_time(at.wall_ms)))
      view.problems.emplace_back("no maintenance window is open now");
  }
  return view;
}

// What keeps an assignment from beginning, beside what keeps any deployment.
std::vector<std::string> Fleet::Core::hold_ups(const Deployment& deployment, const rollout::Moment& at) {
  std::vector<std::string> problems;
  if (rollout::is_over(deployment.rollout.state())) return problems;
  const fleet::Assigned& assigned = *deployment.assigned;
  if (assigned.machine.confirmation() == rollout::Confirmation::agreed)
    problems.push_back("store " + *deployment.origin + " has yet to be told that somebody agreed");
  if (assigned.said.window == OTAGATE_WINDOW_CLOSED)
    problems.push_back("the maintenance window of store " + *deployment.origin + " is closed");
  if (assigned.said.not_before_ms != 0 && !at.synchronised)
    problems.emplace_back("it begins at a time, and the clock is not synchronised");
  else if (at.wall_ms < assigned.said.not_before_ms)
    problems.emplace_back("it is not to begin yet");
  return problems;
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
