// Fleet::Core: what a deployment would do, device by device, without doing it.
#include <algorithm>
#include <set>

#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

std::string change_of(const fleet::Device& device, const fleet::Release& release,
                      const std::vector<std::size_t>& parts) {
  std::string text;
  for (const std::size_t i : parts) {
    const fleet::ReleasePart& part = release.parts[i];
    const auto version = device.versions.find(part.component);
    text += (text.empty() ? "" : ", ") + part.entry->firmware.name + " " +
            (version == device.versions.end() ? "?" : version->second) + " -> " +
            part.entry->firmware.version;
  }
  return text;
}

}  // namespace

void Fleet::Core::preview(const rollout::Spec& spec, const Fleet::Reply<rollout::Preview>& reply) {
  struct Draft {
    std::map<std::string, Release> releases;
    std::size_t missing = 0;
  };
  auto draft = std::make_shared<Draft>();
  const Deployment asked(0, spec, rollout::Rollout(spec.policy));
  std::set<std::string> types;
  for (const auto& [key, device] : devices_) {
    if (asked.match(device).matches) types.insert(device.type);
  }
  if (types.empty()) types.insert(spec.target.type);
  draft->missing = types.size();
  for (const std::string& type : types) {
    resolve(spec, type, [this, draft, type, spec, reply](Parts parts) {
      Release& release = draft->releases[type];
      release.parts = std::move(parts);
      release.known = true;
      if (--draft->missing > 0) return;
      rollout::Preview preview;
      std::set<std::string> problems;
      for (const auto& [of, drawn] : draft->releases) {
        if (std::string problem = drawn.problem(); !problem.empty()) problems.insert(std::move(problem));
      }
      preview.problems.assign(problems.begin(), problems.end());
      describe(spec, draft->releases, preview);
      answer(reply, std::move(preview));
    });
  }
}

void Fleet::Core::describe(const rollout::Spec& spec, const std::map<std::string, Release>& releases,
                           rollout::Preview& preview) const {
  // As if it were there already, the newest of all; nothing of it stays.
  const Deployment asked(0, spec, rollout::Rollout(spec.policy));
  for (const auto& [id, key] : by_id_) {
    const Device& device = devices_.at(key);
    const rollout::Match match = asked.match(device);
    if (!match.matches) continue;
    const auto release = releases.find(device.type);
    if (release == releases.end()) continue;  // registered since
    std::vector<std::size_t> parts;
    std::string outdone;
    for (std::size_t i = 0; i < spec.parts.size(); ++i) {
      const Deployment* const greater = greater_claim(device, spec.parts[i].component, match.rank);
      const std::string* const store = holder(device, spec.parts[i].component);
      if (greater == nullptr && store == nullptr)
        parts.push_back(i);
      else if (greater == nullptr || greater->assigned)
        outdone = "store " + (greater != nullptr ? *greater->origin : *store) + " decides its " +
                  spec.parts[i].component;
      else
        outdone = "deployment " + std::to_string(greater->id) + " decides its " + spec.parts[i].component +
                  " more specifically";
    }
    rollout::Preview::Line line;
    line.device = id;
    if (parts.empty()) {
      line.what = outdone;
    } else if (auto why = objection(device, asked, release->second, parts)) {
      line.what = *why;
    } else if (runs_all(device, release->second, parts)) {
      line.what = "runs it already";
    } else {
      line.matches = true;
      line.what = change_of(device, release->second, parts);
    }
    ++(line.matches ? preview.matching : preview.skipped);
    preview.lines.push_back(std::move(line));
  }
}

// The open deployment of a greater rank that has the device run something of that component.
const fleet::Deployment* Fleet::Core::greater_claim(const Device& device, const std::string& component,
                                                    rollout::Rank rank) const {
  const auto has = [&](const Deployment& deployment) {
    const auto& parts = deployment.spec.parts;
    return std::any_of(parts.begin(), parts.end(),
                       [&](const rollout::Part& part) { return part.component == component; });
  };
  const Deployment* greater = nullptr;
  each_assigned(device.key, [&](const Deployment& deployment) {
    if (deployment.claims() && !local_wins(*deployment.origin) && has(deployment)) greater = &deployment;
  });
  if (greater != nullptr) return greater;
  for (const auto& [id, deployment] : general_) {
    if (!deployment->claims()) continue;
    const rollout::Match match = deployment->match(device);
    if (match.matches && match.rank > rank && has(*deployment)) return deployment;
  }
  return nullptr;
}

}  // namespace otagate::gateway
