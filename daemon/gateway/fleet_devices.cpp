// Fleet::Core: who a device is, what it runs, and which deployments are meant for it.
#include <algorithm>

#include "core/clock.hpp"
#include "firmware/identity.hpp"
#include "firmware/version.hpp"
#include "gateway/fleet_core.hpp"

namespace otagate::gateway {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr std::size_t kMaxId = 128;
constexpr std::size_t kMaxType = 64;
constexpr std::size_t kMaxAddress = 128;
constexpr std::size_t kMaxComponents = 16;
constexpr std::size_t kMaxAttributes = 32;
constexpr std::size_t kMaxTags = 64;
constexpr std::size_t kMaxText = 256;
constexpr std::size_t kMaxSources = 4096;
// What changes nothing but "last seen" is written at most so often.
constexpr milliseconds kSeen = 10min;
// A full table is said so often at most.
constexpr milliseconds kSayAgain = 60s;

// "10.0.0.7:5683", "[fe80::1]:5683" and "AA:BB:CC" without the port; an IPv4 address is the same one on a
// listener of both families.
std::string source_of(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  const bool port = colon != std::string_view::npos &&
                    (address.find(':') == colon || (colon > 0 && address[colon - 1] == ']'));
  if (port) address = address.substr(0, colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  if (constexpr std::string_view kMapped = "::ffff:";
      address.starts_with(kMapped) && address.find('.') != std::string_view::npos)
    address.remove_prefix(kMapped.size());
  return std::string(address);
}

std::string place_of(std::string_view transport, std::string_view address) {
  return std::string(transport).append(1, '\0').append(source_of(address));
}

bool is_printable_utf8(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return std::none_of(text.begin(), text.end(), control) && firmware::valid_utf8(text);
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text.substr(0, 64)) + "\""; }

Result<void> check_device_id(std::string_view id) {
  if (id.empty() || id.size() > kMaxId || !is_printable_utf8(id))
    return fail(Code::invalid, "a device's id has 1 to " + std::to_string(kMaxId) +
                                   " bytes of UTF-8 without control characters");
  return {};
}

Result<void> check_type(std::string_view type) {
  if (type.size() > kMaxType || !is_printable_utf8(type))
    return fail(Code::invalid, "a device's type has at most " + std::to_string(kMaxType) + " bytes of UTF-8");
  return {};
}

template <class Pairs>
Result<void> check_pairs(const Pairs& pairs, std::size_t most, std::string_view what) {
  if (pairs.size() > most)
    return fail(Code::invalid, "a device has at most " + std::to_string(most) + " " + std::string(what));
  for (const auto& [key, value] : pairs) {
    if (key.empty() || key.size() > kMaxType || value.size() > kMaxText || !is_printable_utf8(key) ||
        !is_printable_utf8(value))
      return fail(Code::invalid,
                  std::string(what) + " have names of 1 to 64 bytes and values of at most 256, both UTF-8");
  }
  return {};
}

}  // namespace

Result<void> Fleet::Core::check_edit(const rollout::DeviceEdit& edit) {
  if (auto good = check_device_id(edit.id); !good) return good;
  if (edit.type) {
    if (auto good = check_type(*edit.type); !good) return good;
  }
  if (edit.tags) {
    if (edit.tags->size() > kMaxTags) return fail(Code::invalid, "a device has at most 64 tags");
    for (const std::string& tag : *edit.tags) {
      if (tag.empty() || tag.size() > kMaxType || !is_printable_utf8(tag))
        return fail(Code::invalid, "a tag has 1 to 64 bytes of UTF-8");
    }
  }
  if (edit.versions) {
    if (auto good = check_pairs(*edit.versions, kMaxComponents, "versions"); !good) return good;
  }
  for (const auto* text : {&edit.transport, &edit.address}) {
    if (*text && ((*text)->size() > kMaxAddress || !is_printable_utf8(**text)))
      return fail(Code::invalid, "a transport and an address have at most 128 bytes of UTF-8");
  }
  if (edit.attributes) {
    if (auto good = check_pairs(*edit.attributes, kMaxAttributes, "attributes"); !good) return good;
  }
  return {};
}

fleet::Device* Fleet::Core::find_device(std::string_view id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &devices_.at(found->second);
}

fleet::Device* Fleet::Core::device_at(const std::string& transport, std::string_view address) {
  Device* only = nullptr;
  std::size_t count = 0;
  const auto [from, to] = by_place_.equal_range(place_of(transport, address));
  for (auto it = from; it != to; ++it) {
    Device& device = devices_.at(it->second);
    // What it can prove is not to be had for less.
    if (credentials_.binds(device.id)) continue;
    if (device.address == address) return &device;
    only = &device;
    ++count;
  }
  return count == 1 ? only : nullptr;
}

void Fleet::Core::place(Device& device, std::string transport, std::string address) {
  const std::string before = place_of(device.transport, device.address);
  device.transport = std::move(transport);
  device.address = std::move(address);
  const std::string now_at = place_of(device.transport, device.address);
  if (now_at == before) return;
  unplace(before, device.key);
  if (!device.address.empty()) by_place_.emplace(now_at, device.key);
}

void Fleet::Core::unplace(const std::string& place, DeviceKey key) {
  const auto [from, to] = by_place_.equal_range(place);
  const auto found = std::find_if(from, to, [key](const auto& entry) { return entry.second == key; });
  if (found != to) by_place_.erase(found);
}

void Fleet::Core::forget_device(const Device& device) {
  const DeviceKey key = device.key;
  unplace(place_of(device.transport, device.address), key);
  by_id_.erase(device.id);
  devices_.erase(key);
}

fleet::Device& Fleet::Core::add_device(Device device) {
  const DeviceKey key = device.key;
  by_id_.emplace(device.id, key);
  if (!device.address.empty()) by_place_.emplace(place_of(device.transport, device.address), key);
  Device& added = devices_.insert_or_assign(key, std::move(device)).first->second;
  const std::scoped_lock lock(shared_mutex_);
  counts_.devices = devices_.size();
  return added;
}

void Fleet::Core::save(Device& device) {
  device.written_ms = now().count();
  touched_.push_back(device.key);
  step([row = fleet::row_of(device)](state::Writer& db) { return state::put_device(db, row); });
  if (!assigners_.empty()) announce(device);
}

void Fleet::Core::publish_tokens() {
  std::vector<Credentials::DeviceToken> tokens;
  for (const auto& [key, device] : devices_) {
    if (device.token && device.approval != rollout::Approval::blocked)
      tokens.push_back({*device.token, device.id, device.type});
  }
  credentials_.replace_tokens(std::move(tokens));
  host_.credentials_changed();
}

Result<void> Fleet::Core::may_speak_for(const CheckIn& request, std::string_view id) {
  const Principal& who = *request.principal;
  if (!request.in.acting_for.empty() || (!who.device.empty() && who.device != id)) {
    if (!who.gateway ||
        (!request.in.acting_for.empty() && !who.device.empty() && request.in.acting_for != who.device)) {
      event("device.refused", state::Severity::warning, nullptr,
            "the credential " + in_quotes(who.name) + " checked in for " + in_quotes(id) +
                ", which it is not bound to");
      return fail(Code::denied, "this credential does not speak for device " + in_quotes(id));
    }
  }
  return {};
}

Result<fleet::Device*> Fleet::Core::register_device(const CheckIn& request) {
  const std::string source = source_of(request.in.address);
  const auto say = [&](std::string message) {
    if (full_said_ != 0ms && now() - full_said_ < kSayAgain) return;
    full_said_ = now();
    event("device.refused", state::Severity::warning, nullptr, std::move(message));
  };
  if (!config_.auto_register) {
    say("device " + in_quotes(request.in.device) + " is not known, and devices.auto_register is off");
    return fail(Code::not_found, "device " + in_quotes(request.in.device) + " is not known here");
  }
  if (devices_.size() >= config_.max) {
    say("no room for device " + in_quotes(request.in.device) + ": devices.max is " +
        std::to_string(config_.max));
    return fail(Code::busy, "no further device can be registered: devices.max is reached");
  }
  // The table of addresses is bounded, too: beyond it all share one count.
  auto counter = registered_from_.find(source);
  if (counter == registered_from_.end())
    counter =
        registered_from_.try_emplace(registered_from_.size() < kMaxSources ? source : std::string()).first;
  if (counter->second >= config_.max_per_source) {
    say("no room for device " + in_quotes(request.in.device) + " from " + source +
        ": devices.max_per_source is " + std::to_string(config_.max_per_source));
    return fail(Code::busy, "no further device can be registered from this address");
  }
  ++counter->second;
  Device device;
  device.key = next_device_++;
  device.id = request.in.device;
  device.approval = config_.approval ? rollout::Approval::pending : rollout::Approval::approved;
  device.first_seen_ms = wall_ms();
  Device& added = add_device(std::move(device));
  event("device.registered", state::Severity::info, &added,
        config_.approval ? "waits for approval" : "registered by its first check-in");
  return &added;
}

Result<fleet::Device*> Fleet::Core::admit(const CheckIn& request) {
  const plugin::CheckIn& in = request.in;
  if (auto good = check_device_id(in.device); !good) return fail(std::move(good).error());
  if (auto good = check_type(in.type); !good) return fail(std::move(good).error());
  if (auto good = check_pairs(in.versions, kMaxComponents, "versions"); !good)
    return fail(std::move(good).error());
  if (auto good = check_pairs(in.attributes, kMaxAttributes, "attributes"); !good)
    return fail(std::move(good).error());
  if (auto may = may_speak_for(request, in.device); !may) return fail(std::move(may).error());
  Device* device = find_device(in.device);
  const bool fresh = device == nullptr;
  const std::string& bound = request.principal->type;
  const std::string& type = in.type.empty() && (fresh || device->type.empty()) ? bound : in.type;
  if (!bound.empty() && !type.empty() && type != bound) {
    event("device.refused", state::Severity::warning, device,
          "a credential for type " + in_quotes(bound) + " checked in a device of type " + in_quotes(type));
    return fail(Code::denied, "this credential is for devices of type " + in_quotes(bound));
  }
  if (!fresh && !bound.empty() && !device->type.empty() && device->type != bound)
    return fail(Code::denied, "this credential is for devices of type " + in_quotes(bound));
  if (!fresh && !type.empty() && !device->type.empty() && device->type != type) {
    return fail(Code::invalid, "device " + in_quotes(in.device) + " is known as of type " +
                                   in_quotes(device->type) + ", not " + in_quotes(type) +
                                   "; an operator can change that");
  }
  if (fresh) {
    auto made = register_device(request);
    if (!made) return made;
    device = *made;
  }
  if (device->approval == rollout::Approval::blocked)
    return fail(Code::denied, "device " + in_quotes(in.device) + " is blocked");
  if (device->type.empty()) device->type = type;
  take_news(*device, request);
  if (fresh) save(*device);
  return device;
}

// A check-in that brings nothing new is not written, but for "last seen" now and then.
void Fleet::Core::take_news(Device& device, const CheckIn& request) {
  bool news = false;
  device.last_seen_ms = wall_ms();
  const std::string address = request.in.address.substr(0, kMaxAddress);
  for (const auto& [component, version] : request.in.versions) {
    auto& known = device.versions[component];
    if (known == version) continue;
    known = version;
    news = true;
  }
  if (device.versions.size() > kMaxComponents) {
    // It has come under other names than before: those it says now.
    std::map<std::string, std::string> now_said(request.in.versions.begin(), request.in.versions.end());
    device.versions = std::move(now_said);
  }
  for (const auto& [key, value] : request.in.attributes) {
    if (device.attributes.size() >= kMaxAttributes && !device.attributes.contains(key)) continue;
    auto& known = device.attributes[key];
    if (known == value) continue;
    known = value;
    news = true;
  }
  // A port that differs with each request is no news.
  const bool moved = device.transport != request.instance || source_of(device.address) != source_of(address);
  place(device, request.instance, address);
  if (news) {
    save(device);
  } else if (moved || now().count() - device.written_ms >= kSeen.count()) {
    device.written_ms = now().count();
    touched_.push_back(device.key);
    step([key = device.key, transport = device.transport, address, seen = device.last_seen_ms](
             state::Writer& db) { return state::seen_device(db, key, transport, address, seen); });
  }
  const std::scoped_lock lock(shared_mutex_);
  if (!steps_.empty()) ++counts_.written;
}

// ------------------------------------------------------------------ what it should run

// In order: the greatest first.
std::vector<Fleet::Core::Claim> Fleet::Core::claims(const Device& device) const {
  struct Candidate {
    int rank;
    Deployment* deployment;
  };
  constexpr int kBelow = -1;
  constexpr int kAbove = 100;
  std::vector<Candidate> candidates;
  each_assigned(device.key, [&](Deployment& deployment) {
    if (!deployment.claims()) return;
    candidates.push_back({local_wins(*deployment.origin) ? kBelow : kAbove, &deployment});
  });
  // The newer first.
  std::reverse(candidates.begin(), candidates.end());
  // The map is ordered by id: from its end the newer ones come first.
  for (auto it = general_.rbegin(); it != general_.rend(); ++it) {
    if (!it->second->claims()) continue;
    const rollout::Match match = it->second->match(device);
    if (!match.matches) continue;
    // A frozen list is the list.
    if (it->second->frozen && it->second->rollout.find(device.key) == nullptr) continue;
    candidates.push_back({static_cast<int>(match.rank), it->second});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
  std::vector<Claim> claims;
  std::vector<std::string_view> taken;
  for (const Candidate& candidate : candidates) {
    Claim claim{candidate.deployment, {}};
    const auto& parts = candidate.deployment->spec.parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (std::find(taken.begin(), taken.end(), parts[i].component) != taken.end()) continue;
      // What a store decided last holds against all but what stores decide.
      if (!candidate.deployment->assigned && holder(device, parts[i].component) != nullptr) continue;
      claim.parts.push_back(i);
    }
    for (const std::size_t i : claim.parts) taken.push_back(parts[i].component);
    if (!claim.parts.empty()) claims.push_back(std::move(claim));
  }
  return claims;
}

bool Fleet::Core::runs(const Device& device, const ReleasePart& part) {
  const auto version = device.versions.find(part.component);
  if (version == device.versions.end() || !part.entry) return false;
  if (version->second.starts_with("sha256:"))
    return part.digest && Digest::parse(version->second) == part.digest;
  return firmware::same(version->second, part.entry->firmware.version);
}

bool Fleet::Core::runs_all(const Device& device, const Release& release,
                           const std::vector<std::size_t>& parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [&](std::size_t i) { return runs(device, release.parts[i]); });
}

std::optional<std::string> Fleet::Core::objection(const Device& device, const Deployment& deployment,
                                                  const Release& release,
                                                  const std::vector<std::size_t>& parts) {
  if (device.approval == rollout::Approval::pending) return "the device waits for approval";
  if (device.approval == rollout::Approval::blocked) return "the device is blocked";
  for (const std::size_t i : parts) {
    const ReleasePart& part = release.parts[i];
    if (!part.entry) return part.problem;
    if (runs(device, part)) continue;
    const state::Firmware& firmware = part.entry->firmware;
    const auto version = device.versions.find(part.component);
    const bool known = version != device.versions.end() && !version->second.empty();
    if (firmware.kind == "patch" && firmware.dependency &&
        (!known || !firmware::same(version->second, *firmware.dependency)))
      return "it is a patch for " + *firmware.dependency + ", and the device runs " +
             (known ? version->second : "nobody knows what");
    if (deployment.spec.policy.downgrade || !known || version->second.starts_with("sha256:")) continue;
    const auto order = firmware::compare(firmware.version, version->second);
    if (order == std::partial_ordering::less)
      return firmware.version + " is older than " + version->second + ", which the device runs";
    if (order == std::partial_ordering::unordered)
      return "nobody can tell whether " + firmware.version + " is newer than " + version->second +
             ", which the device runs";
  }
  return std::nullopt;
}

void Fleet::Core::settle(Device& device) {
  const auto mine = claims(device);
  each_assigned(device.key, [&](Deployment& deployment) {
    const auto claim = std::find_if(mine.begin(), mine.end(), [&](const Claim& candidate) {
      return candidate.deployment == &deployment;
    });
    settle_assigned(device, deployment, claim == mine.end() ? nullptr : &*claim);
  });
  for (auto& [id, deployment] : general_) {
    if (!deployment->claims()) continue;
    const auto claim = std::find_if(mine.begin(), mine.end(), [wanted = deployment](const Claim& candidate) {
      return candidate.deployment == wanted;
    });
    const rollout::Member* member = deployment->rollout.find(device.key);
    if (claim == mine.end()) {
      const bool outdone = deployment->match(device).matches;
      if (member != nullptr)
        leave(*deployment, device,
              outdone ? rollout::AttemptState::superseded : rollout::AttemptState::cancelled);
      continue;
    }
    const auto release = release_of(*deployment, device.type);
    if (!release->known) continue;
    if (objection(device, *deployment, *release, claim->parts)) {
      // While it runs, the attempt itself decides.
      if (member != nullptr && member->state != rollout::MemberState::running)
        leave(*deployment, device, rollout::AttemptState::cancelled);
      continue;
    }
    const bool current = runs_all(device, *release, claim->parts);
    if (member == nullptr) {
      deployment->rollout.join(device.key, current);
      continue;
    }
    const rollout::MemberState before = member->state;
    if (current)
      apply(*deployment, deployment->rollout.arrived(device.key), rollout::AttemptState::cancelled);
    else
      deployment->rollout.drifted(device.key);
    if (deployment->rollout.find(device.key)->state != before) save_member(*deployment, device.key);
  }
}

void Fleet::Core::settle_type(const std::string& type) {
  for (auto& [key, device] : devices_) {
    if (device.type == type) settle(device);
  }
}

}  // namespace otagate::gateway
