// Devices, deployments and attempts as operators are shown them, and what they may ask for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rollout/assignment.hpp"
#include "rollout/attempt.hpp"
#include "rollout/rollout.hpp"
#include "rollout/spec.hpp"

namespace otagate::rollout {

// Values are stored: append only.
enum class Approval : std::uint8_t {
  pending = 0,  // known, offered nothing
  approved = 1,
  blocked = 2,  // its check-ins are refused
};
std::string_view to_string(Approval approval);

struct AttemptView {
  AttemptId id = 0;
  std::int64_t deployment = 0;
  std::string device;
  AttemptState state = AttemptState::offered;
  std::uint32_t part = 0;  // the one it is at, from 0
  std::uint32_t parts = 1;
  std::string component;  // of that part
  std::string firmware;   // "name/version" of that part
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> size;  // of that part
  std::uint64_t rate = 0;             // bytes per second of late; 0: unknown or over
  std::int32_t code = 0;
  std::string message;
  std::int64_t started_ms = 0;  // wall clock
  std::optional<std::int64_t> ended_ms;
};

struct DeviceView {
  std::string id;
  std::string type;
  Approval approval = Approval::approved;
  std::vector<std::string> tags;  // sorted
  std::string transport;          // instance it came by last; empty: never
  std::string address;
  std::map<std::string, std::string> versions;  // by component
  std::map<std::string, std::string> attributes;
  std::int64_t first_seen_ms = 0;
  std::int64_t last_seen_ms = 0;  // 0: never
  bool has_token = false;
  std::optional<AttemptView> attempt;              // the open one
  std::map<std::string, std::string> assigned_by;  // store that decides what it runs, by component
};

struct DeviceQuery {
  std::string prefix;  // of the id
  std::string type, tag, transport;
  std::optional<Approval> approval;
  std::string component, version;  // runs this version of that component (empty: of any)
  std::string cursor;              // from the last page
  std::size_t limit = 100;         // at most 1,000
};

struct DevicePage {
  std::vector<DeviceView> items;  // by id
  std::string next;               // empty: that was the last page
  std::uint64_t devices = 0;      // known in all, matching or not
};

// What an operator sets of a device. What is absent stays; a device that is not there is made.
struct DeviceEdit {
  std::string id;
  std::optional<std::string> type;
  std::optional<Approval> approval;
  std::optional<std::vector<std::string>> tags;
  std::optional<std::string> transport;
  std::optional<std::string> address;
  std::optional<std::map<std::string, std::string>> versions;
  std::optional<std::map<std::string, std::string>> attributes;
};

// Beside a deployment that a store asked for.
struct AssignmentView {
  std::string device;
  std::string mode;    // "forced", "soft", "download_only"
  std::string window;  // "none", "open", "closed"
  std::int64_t not_before_ms = 0;
  Confirmation confirmation = Confirmation::none;
  std::optional<FeedbackKind> outcome;  // nothing: open
};

struct DeploymentView {
  std::int64_t id = 0;
  Spec spec;
  RolloutState state = RolloutState::active;
  std::string why;          // of the state
  std::uint32_t wave = 0;   // from 0
  std::uint32_t limit = 0;  // devices that may have begun in it
  Counts counts;
  std::string origin, external_id;  // store that asked for it
  std::optional<AssignmentView> assignment;
  std::vector<std::string> problems;  // what keeps it from going on now, one sentence each
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> ended_ms;
};

struct DeploymentQuery {
  bool over = true;         // also those that have ended
  std::int64_t before = 0;  // id; 0: the newest first
  std::size_t limit = 100;  // at most 1,000
};

struct MemberView {
  std::string device;
  Member member;
  std::optional<AttemptView> attempt;  // the last one
};

// What a deployment would do now, device by device.
struct Preview {
  struct Line {
    std::string device;
    bool matches = false;  // would get an attempt in its turn
    std::string what;      // "app 1.0.0 -> 1.1.0", or why not
  };
  std::vector<Line> lines;  // by id; those that are not meant at all are left out
  std::uint32_t matching = 0;
  std::uint32_t skipped = 0;
  std::vector<std::string> problems;  // of the deployment as a whole: no such firmware, ...
};

}  // namespace otagate::rollout
