// Fleet::Core: what operators are shown.
#include <algorithm>

#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

constexpr std::size_t kMostItems = 1000;
constexpr std::size_t kRowsOfARead = 100;

bool fits(const fleet::Device& device, const rollout::DeviceQuery& query) {
  if (!query.type.empty() && device.type != query.type) return false;
  if (!query.transport.empty() && device.transport != query.transport) return false;
  if (query.approval && device.approval != *query.approval) return false;
  if (!query.tag.empty() && !std::binary_search(device.tags.begin(), device.tags.end(), query.tag))
    return false;
  if (query.version.empty()) return query.component.empty() || device.versions.contains(query.component);
  return std::any_of(device.versions.begin(), device.versions.end(), [&](const auto& item) {
    return (query.component.empty() || item.first == query.component) && item.second == query.version;
  });
}

Error no_deployment(std::int64_t id) {
  return {Code::not_found, "there is no deployment " + std::to_string(id)};
}

}  // namespace

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

void Fleet::Core::devices(const rollout::DeviceQuery& query, const Fleet::Reply<rollout::DevicePage>& reply) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostItems);
  rollout::DevicePage page;
  page.devices = devices_.size();
  auto it = query.cursor.empty() ? by_id_.lower_bound(query.prefix)
                                 : by_id_.upper_bound(std::max(query.cursor, query.prefix));
  if (!query.cursor.empty() && query.cursor < query.prefix) it = by_id_.lower_bound(query.prefix);
  for (; it != by_id_.end() && it->first.starts_with(query.prefix); ++it) {
    const Device& device = devices_.at(it->second);
    if (!fits(device, query)) continue;
    if (page.items.size() == limit) {
      page.next = page.items.back().id;
      break;
    }
    page.items.push_back(view(device));
  }
  answer(reply, std::move(page));
}

void Fleet::Core::device(const std::string& id, const Fleet::Reply<rollout::DeviceView>& reply) {
  const Device* const device = find_device(id);
  if (device == nullptr) return refuse(reply, Error(Code::not_found, "there is no device " + id));
  answer(reply, view(*device));
}

void Fleet::Core::deployments(const rollout::DeploymentQuery& query,
                              const Fleet::Reply<std::vector<rollout::DeploymentView>>& reply) {
  auto rows = std::make_shared<std::vector<state::DeploymentRow>>();
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMostItems);
  db_.read(
      [rows, query, limit](state::Reader& db) -> Result<void> {
        auto page = state::page_deployments(db, query.before, query.over, limit);
        if (!page) return fail(std::move(page).error());
        *rows = std::move(*page);
        return {};
      },
      [weak = weak_from_this(), rows, reply](const Result<void>& outcome) {
        const auto self = weak.lock();
        if (!outcome || !self) {
          reply(fail(outcome ? Error(Code::cancelled, "the gateway is stopping") : outcome.error()));
          return;
        }
        self->request(reply, [core = self.get(), rows, reply] {
          std::vector<rollout::DeploymentView> views;
          for (const state::DeploymentRow& row : *rows) {
            const Deployment* const open = core->find_deployment(row.id);
            views.push_back(open != nullptr ? core->view(*open) : core->view_of_ended(row));
          }
          core->answer(reply, std::move(views));
        });
      });
}

// Its figures are in the rows of its members.
rollout::DeploymentView Fleet::Core::view_of_ended(const state::DeploymentRow& row) {
  auto deployment = deployment_of(row);
  if (!deployment || !load_members(*deployment)) return view(row);
  return view(*deployment);
}

void Fleet::Core::deployment(std::int64_t id, const Fleet::Reply<rollout::DeploymentView>& reply) {
  if (const Deployment* const open = find_deployment(id); open != nullptr) return answer(reply, view(*open));
  auto row = db_.read_sync([id](state::Reader& db) { return state::find_deployment(db, id); });
  if (!row) return refuse(reply, std::move(row).error());
  if (!*row) return refuse(reply, no_deployment(id));
  answer(reply, view_of_ended(**row));
}

void Fleet::Core::members(std::int64_t id, const std::string& after, std::size_t limit,
                          const Fleet::Reply<std::vector<rollout::MemberView>>& reply) {
  std::unique_ptr<Deployment> ended;
  const Deployment* deployment = find_deployment(id);
  if (deployment == nullptr) {
    auto row = db_.read_sync([id](state::Reader& db) { return state::find_deployment(db, id); });
    if (!row) return refuse(reply, std::move(row).error());
    if (*row) ended = deployment_of(**row);
    if (!ended) return refuse(reply, no_deployment(id));
    if (auto loaded = load_members(*ended); !loaded) return refuse(reply, std::move(loaded).error());
    deployment = ended.get();
  }
  std::vector<rollout::MemberView> views;
  std::vector<std::int64_t> keys;
  for (auto it = by_id_.upper_bound(after); it != by_id_.end() && views.size() < std::min(limit, kMostItems);
       ++it) {
    const rollout::Member* const member = deployment->rollout.find(it->second);
    if (member == nullptr) continue;
    views.push_back({it->first, *member, std::nullopt});
    keys.push_back(it->second);
  }
  // A read is short, so many are several.
  for (std::size_t from = 0; from < keys.size(); from += kRowsOfARead) {
    const auto first = keys.begin() + static_cast<std::ptrdiff_t>(from);
    const std::vector<std::int64_t> some(
        first, first + static_cast<std::ptrdiff_t>(std::min(kRowsOfARead, keys.size() - from)));
    auto rows = db_.read_sync([&](state::Reader& db) { return state::last_attempts(db, id, some); });
    if (!rows) return refuse(reply, std::move(rows).error());
    for (const state::AttemptRow& row : *rows) {
      const auto key = std::find(keys.begin(), keys.end(), row.device);
      if (key == keys.end()) continue;
      const auto open = attempts_.find(static_cast<AttemptId>(row.id));
      views[static_cast<std::size_t>(key - keys.begin())].attempt =
          open != attempts_.end() ? view(open->second) : fleet::view_of(row);
    }
  }
  answer(reply, std::move(views));
}

void Fleet::Core::attempts(const std::string& device, std::int64_t deployment, std::uint64_t before,
                           std::size_t limit, const Fleet::Reply<std::vector<rollout::AttemptView>>& reply) {
  state::AttemptQuery query;
  query.device = device;
  query.deployment = deployment;
  query.before = static_cast<std::int64_t>(before);
  std::size_t missing = std::clamp<std::size_t>(limit, 1, kMostItems);
  std::vector<rollout::AttemptView> views;
  while (missing > 0) {
    query.limit = std::min(missing, kRowsOfARead);
    auto rows = db_.read_sync([&](state::Reader& db) { return state::page_attempts(db, query); });
    if (!rows) return refuse(reply, std::move(rows).error());
    for (const state::AttemptRow& row : *rows) {
      const auto open = attempts_.find(static_cast<AttemptId>(row.id));
      views.push_back(open != attempts_.end() ? view(open->second) : fleet::view_of(row));
    }
    if (rows->size() < query.limit) break;
    missing -= rows->size();
    query.before = rows->back().id;
  }
  answer(reply, std::move(views));
}

}  // namespace otagate::gateway
