// Fleet::Core: what a deployment means for a device type, and that its bytes are here.
#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// What failed is tried again soon, then less often: after a start stores need a moment.
constexpr milliseconds kTryAgain = 500ms;
constexpr milliseconds kTryAgainMost = 60s;
// A listing changes the catalog many times in a row.
constexpr milliseconds kSettled = 500ms;

// A store that assigned what it does not have is told so after so many tries: about two minutes.
constexpr std::uint32_t kGiveUpAfter = 8;

bool is_final(Code code) {
  return code == Code::rejected || code == Code::not_found || code == Code::denied || code == Code::permanent;
}

// Of what has that name and version: for that type, else for any.
std::optional<Entry> choose(std::vector<Entry> entries, std::string_view type) {
  for (const std::string_view wanted : {type, std::string_view()}) {
    for (Entry& entry : entries) {
      if (entry.firmware.type == wanted) return std::move(entry);
    }
  }
  return std::nullopt;
}

std::string name_of(const rollout::Part& part) {
  return part.name + "/" + part.version + (part.store.empty() ? "" : " of store " + part.store);
}

// Which bytes a fill is for: by their digest, and where nobody knows that, by where they are.
std::string bytes_of(const Entry& entry) {
  if (entry.digest) return entry.digest->hex();
  const state::Firmware& firmware = entry.firmware;
  return firmware.store_name + '\n' + firmware.key + '\n' + firmware.change_token;
}

// Collects the answers for the parts of one release; the last one says so.
struct Gathering {
  std::vector<fleet::ReleasePart> parts;
  std::size_t missing = 0;
};

}  // namespace

void Fleet::Core::resolve(const rollout::Spec& spec, const std::string& type,
                          const std::function<void(Parts)>& done) {
  auto gathering = std::make_shared<Gathering>();
  gathering->parts.resize(spec.parts.size());
  gathering->missing = spec.parts.size();
  for (std::size_t i = 0; i < spec.parts.size(); ++i) {
    const rollout::Part& part = spec.parts[i];
    gathering->parts[i].component = part.component;
    auto everybody = std::make_shared<Principal>();
    if (!part.store.empty()) everybody->stores.push_back(part.store);
    ResolveQuery query;
    query.principal = std::move(everybody);
    query.name = part.name;
    query.version = part.version;
    const std::string wanted = part.type.empty() ? type : part.type;
    catalog_.resolve(std::move(query), [weak = weak_from_this(), gathering, i, wanted, done,
                                        name = name_of(part)](Result<std::vector<Entry>> found) {
      const auto self = weak.lock();
      if (!self) return;
      self->post([gathering, i, wanted, done, name, found = std::move(found)] {
        fleet::ReleasePart& into = gathering->parts[i];
        if (found) into.entry = choose(*found, wanted);
        if (into.entry)
          into.digest = into.entry->digest;
        else if (found || found.error().code() == Code::not_found)
          into.problem = "there is no firmware " + name + (wanted.empty() ? "" : " for type " + wanted);
        else
          into.problem = found.error().message();
        if (--gathering->missing == 0) done(std::move(gathering->parts));
      });
    });
  }
}

std::shared_ptr<fleet::Release> Fleet::Core::release_of(Deployment& deployment, const std::string& type) {
  auto& release = deployment.releases[type];
  if (!release) {
    release = std::make_shared<Release>();
    ask(deployment, type);
  }
  return release;
}

void Fleet::Core::ask(Deployment& deployment, const std::string& type) {
  Release& release = *deployment.releases.at(type);
  if (release.asking) return;
  release.asking = true;
  release.asked = catalog_count_;
  release.again_ms = 0;
  if (deployment.assigned) {
    post([this, id = deployment.id, type] {
      Deployment* const wanted = find_deployment(id);
      if (wanted != nullptr) got(id, type, wanted->assigned->parts(*wanted->origin, type));
    });
    return;
  }
  resolve(deployment.spec, type,
          [this, id = deployment.id, type](Parts parts) { got(id, type, std::move(parts)); });
}

void Fleet::Core::got(std::int64_t id, const std::string& type, Parts parts) {
  Deployment* const deployment = find_deployment(id);
  if (deployment == nullptr) return;
  const std::shared_ptr<Release> release = deployment->releases.at(type);
  release->asking = false;
  const bool first = !release->known;
  const std::string before = release->problem();
  for (std::size_t i = 0; i < parts.size() && i < release->parts.size(); ++i) {
    // The same bytes as before: what is known of them stays.
    if (parts[i].digest && parts[i].digest == release->parts[i].digest)
      parts[i].ready = release->parts[i].ready;
  }
  release->parts = std::move(parts);
  release->known = true;
  const std::string problem = release->problem();
  if (!problem.empty()) try_again(*release);
  if (!problem.empty() && problem != before)
    event("deployment.waiting", state::Severity::warning, nullptr,
          "deployment " + std::to_string(id) + ": " + problem,
          R"({"deployment":)" + std::to_string(id) + "}");
  if (problem.empty()) {
    const std::string fingerprint = release->fingerprint();
    std::string& stored = deployment->fingerprints[type];
    const bool moved = !stored.empty() && stored != fingerprint;
    if (stored != fingerprint) {
      stored = fingerprint;
      if (moved) renew(*deployment);
      save(*deployment);
    }
    for (std::size_t i = 0; i < release->parts.size(); ++i) {
      if (!release->parts[i].ready) fill(*deployment, type, i);
    }
  }
  keep(*deployment);
  if (deployment->assigned)
    settle_also_.push_back(deployment->assigned->key);
  else
    settle_type(type);
  auto waiters = std::move(release->waiters);
  release->waiters.clear();
  for (const auto& waiter : waiters) waiter();
  if (!first) wake(*deployment);
}

void Fleet::Core::try_again(Release& release) {
  const milliseconds at =
      now() + std::min(kTryAgainMost, kTryAgain * (1u << std::min(release.failures++, 10u)));
  release.again_ms = at.count();
  if (retry_at_ == 0ms || at < retry_at_) retry_at_ = at;
}

void Fleet::Core::retry_releases(milliseconds at_ms) {
  retry_at_ = 0ms;
  for (const auto& [id, deployment] : deployments_) {
    if (rollout::is_over(deployment->rollout.state())) continue;
    for (const auto& [type, release] : deployment->releases) {
      if (release->again_ms == 0) continue;
      const milliseconds due(release->again_ms);
      if (due <= at_ms)
        ask(*deployment, type);
      else if (retry_at_ == 0ms || due < retry_at_)
        retry_at_ = due;
    }
  }
}

void Fleet::Core::fill(Deployment& deployment, const std::string& type, std::size_t part) {
  const Entry& entry = *deployment.releases.at(type)->parts[part].entry;
  host_.fill(entry, [weak = weak_from_this(), id = deployment.id, type, part,
                     asked = bytes_of(entry)](const Result<Digest>& outcome) {
    const auto self = weak.lock();
    if (!self) return;
    self->post([core = self.get(), id, type, part, asked, outcome] {
      core->filled(id, type, part, asked, outcome);
    });
  });
}

void Fleet::Core::filled(std::int64_t id, const std::string& type, std::size_t part, const std::string& asked,
                         const Result<Digest>& outcome) {
  Deployment* const deployment = find_deployment(id);
  if (deployment == nullptr) return;
  Release& release = *deployment->releases.at(type);
  if (part >= release.parts.size() || !release.parts[part].entry) return;
  ReleasePart& into = release.parts[part];
  // The catalog has moved on meanwhile: that fill is another's affair.
  if (bytes_of(*into.entry) != asked) return;
  if (!outcome) {
    const bool news = into.problem.empty();
    into.problem = "its firmware cannot be fetched: " + outcome.error().message();
    try_again(release);
    if (news)
      event("deployment.waiting", state::Severity::warning, nullptr,
            "deployment " + std::to_string(id) + ": " + into.problem,
            R"({"deployment":)" + std::to_string(id) + "}");
    if (deployment->assigned) {
      if (is_final(outcome.error().code()) && release.failures >= kGiveUpAfter)
        give_up(*deployment, into.problem);
      else
        say(*deployment, deployment->assigned->machine.held_up(into.problem));
    }
    return;
  }
  into.problem.clear();
  into.digest = *outcome;
  into.ready = true;
  if (release.ready()) release.failures = 0;
  keep(*deployment);
  wake(*deployment);
}

// The newest is another one: everybody begins again, wave by wave.
void Fleet::Core::renew(Deployment& deployment) {
  std::vector<AttemptId> open;
  for (const auto& [key, member] : deployment.rollout.members()) {
    if (member.attempt != 0) open.push_back(member.attempt);
  }
  event("deployment.renewed", state::Severity::notice, nullptr,
        "deployment " + std::to_string(deployment.id) + ": its firmware has a newer version; it starts again",
        R"({"deployment":)" + std::to_string(deployment.id) + "}");
  const auto state = deployment.rollout.state();
  deployment.rollout = rollout::Rollout(deployment.spec.policy, state, 0, 0);
  step([id = deployment.id](state::Writer& db) { return state::delete_members(db, id); });
  for (const AttemptId id : open) cancel(id, rollout::AttemptState::superseded, "a newer version is there");
  settle_all_ = true;
}

void Fleet::Core::catalog_changed() {
  ++catalog_count_;
  if (catalog_at_ == 0ms && !deployments_.empty()) catalog_at_ = now() + kSettled;
}

void Fleet::Core::ask_again() {
  for (const auto& [id, deployment] : deployments_) {
    if (rollout::is_over(deployment->rollout.state())) continue;
    for (const auto& [type, release] : deployment->releases) {
      if (release->known && release->asked != catalog_count_ && !deployment->assigned) ask(*deployment, type);
    }
  }
}

// What it may still offer, and what its open attempts are at.
void Fleet::Core::keep(Deployment& deployment) {
  std::vector<Digest> digests;
  if (!rollout::is_over(deployment.rollout.state())) {
    for (const auto& [type, release] : deployment.releases) {
      for (const ReleasePart& part : release->parts) {
        if (part.digest) digests.push_back(*part.digest);
      }
    }
  }
  for (const auto& [key, member] : deployment.rollout.members()) {
    if (member.attempt == 0) continue;
    const auto attempt = attempts_.find(member.attempt);
    if (attempt == attempts_.end()) continue;
    for (const fleet::OfferedPart& part : attempt->second.parts) digests.push_back(part.digest);
  }
  std::sort(digests.begin(), digests.end());
  digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
  if (digests == deployment.kept) return;
  deployment.kept = digests;
  host_.keep("deployment:" + std::to_string(deployment.id), std::move(digests));
}

}  // namespace otagate::gateway
