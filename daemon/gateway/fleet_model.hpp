// What the fleet holds in memory of each device, deployment and attempt.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/config.hpp"
#include "gateway/catalog.hpp"
#include "plugin/storage.hpp"
#include "rollout/assignment.hpp"
#include "rollout/views.hpp"
#include "state/deployments.hpp"
#include "state/devices.hpp"

namespace otagate::gateway::fleet {

using rollout::AttemptId;
using rollout::DeviceKey;
using std::chrono::milliseconds;

struct Device {
  DeviceKey key = 0;
  std::string id;
  std::string type;
  rollout::Approval approval = rollout::Approval::approved;
  std::vector<std::string> tags;  // sorted
  std::string transport;
  std::string address;
  std::map<std::string, std::string> versions;  // by component
  std::map<std::string, std::string> attributes;
  std::int64_t first_seen_ms = 0;
  std::int64_t last_seen_ms = 0;
  std::int64_t written_ms = 0;  // monotonic: when its row was last written
  std::optional<Digest> token;
  // Component -> store whose last assignment it fulfilled: that store goes on deciding what it runs.
  std::map<std::string, std::string> held;
  AttemptId attempt = 0;    // the open one
  std::uint64_t dirty = 0;  // the write that has to be durable before it is answered
};

// A part of a release, as it is for one device type.
struct ReleasePart {
  std::string component;
  std::optional<Entry> entry;
  std::optional<Digest> digest;  // of verified bytes in the cache; before that the expected one
  bool ready = false;            // verified and in the cache
  std::string problem;           // why not
};

struct Release {
  std::vector<ReleasePart> parts;  // as many as the deployment has
  bool known = false;
  bool asking = false;
  std::vector<std::function<void()>> waiters;  // run once it is known
  std::uint64_t asked = 0;                     // the catalog's count when it was asked for
  std::int64_t again_ms = 0;                   // monotonic: when to try again what failed; 0: nothing did
  std::uint32_t failures = 0;                  // in a row

  // The first thing that keeps it from being offered; empty: nothing.
  std::string problem() const;
  bool ready() const;
  // What tells it from another: the bytes or, while these are unknown, the version of each part.
  std::string fingerprint() const;
};

struct OfferedPart;

// Of a deployment that a store asked for.
struct Assigned {
  std::string device;  // its id
  DeviceKey key = 0;
  plugin::Assignment said;  // last
  rollout::Assignment machine;

  state::AssignmentRow row(std::int64_t deployment) const;
  // Whether these parts are of what it says now: an attempt may be older than the last word.
  bool has(const std::vector<OfferedPart>& parts) const;
  const plugin::Pairs& params(std::string_view component) const;
  // The release as it is for devices of a type.
  std::vector<ReleasePart> parts(const std::string& store, const std::string& type) const;
};
// The wish in the words of deployments. `invalid`: it cannot be one.
Result<rollout::Spec> spec_of(const plugin::Assignment& said, const std::string& store,
                              const config::StoreAssignments& settings);
// The same bytes for the same components; where they come from may differ.
bool same_release(const plugin::Assignment& one, const plugin::Assignment& other);

struct Deployment {
  std::int64_t id = 0;
  rollout::Spec spec;
  rollout::Rollout rollout;
  std::string why;
  std::unordered_set<std::string> listed;                    // spec.target.devices
  std::map<std::string, std::shared_ptr<Release>> releases;  // by device type
  std::map<std::string, std::string> fingerprints;           // by device type, as stored
  std::optional<std::string> origin, external_id;
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> ended_ms;
  bool frozen = false;                 // nobody joins any more
  std::vector<Digest> kept;            // pinned for it
  std::size_t open_attempts = 0;       // of devices that are no members any more included
  std::unique_ptr<Assigned> assigned;  // where a store asked for it

  Deployment(std::int64_t number, rollout::Spec what, rollout::Rollout spread)
      : id(number), spec(std::move(what)), rollout(std::move(spread)) {
    listed.insert(spec.target.devices.begin(), spec.target.devices.end());
  }

  rollout::Match match(const Device& device) const;
  // Takes part in deciding what devices should run.
  bool claims() const;
  state::DeploymentRow row() const;
};

// A part as it was offered: a later change of the catalog does not change it.
struct OfferedPart {
  std::string component;
  std::string name;
  std::string version;
  std::string type;
  Digest digest;
  std::optional<std::uint64_t> size;
};

struct Attempt {
  AttemptId id = 0;
  std::int64_t deployment = 0;
  DeviceKey device = 0;
  rollout::Attempt machine;
  std::vector<OfferedPart> parts;
  std::string resume_token;
  std::int64_t started_ms = 0;
  rollout::AttemptState counted = rollout::AttemptState::offered;  // as the figures have it
  std::uint32_t first_offered = 0;                                 // the part that the device counts as 0
  milliseconds due{0};                                             // where it stands among the timers
  milliseconds saved{0};                                           // when progress was last written
  std::uint64_t saved_offset = 0;
  // Rate of late: where it was at the beginning of the window.
  milliseconds window{0};
  std::uint64_t window_offset = 0;
  std::uint64_t rate = 0;

  state::AttemptRow row(const Device& of) const;
};

// How far it has got, in bytes of all its parts; what has no known size counts as nothing.
struct Extent {
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};
Extent size_of(const Attempt& attempt);

// JSON of rows.
std::string to_json(const std::vector<std::string>& texts);
std::string to_json(const std::map<std::string, std::string>& pairs);
std::string to_json(const std::vector<OfferedPart>& parts);
std::vector<std::string> texts_of(std::string_view json);
std::map<std::string, std::string> pairs_of(std::string_view json);
std::vector<OfferedPart> parts_of(std::string_view json);

std::string to_json(const plugin::Assignment& said);
plugin::Assignment assignment_of(std::string_view json);

state::DeviceRow row_of(const Device& device);
Device device_of(const state::DeviceRow& row);
rollout::AttemptView view_of(const state::AttemptRow& row);

}  // namespace otagate::gateway::fleet
