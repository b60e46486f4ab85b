// Rows of deployments, their members and attempts. Numbers of states are the caller's; here they are stored.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

struct DeploymentRow {
  std::int64_t id = 0;
  std::string spec{};  // JSON
  int state = 0;
  std::string why{};
  std::uint32_t wave = 0;
  std::uint32_t forgiven = 0;
  std::string release{};  // JSON
  std::optional<std::string> origin{};
  std::optional<std::string> external_id{};
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> ended_ms{};
};

struct MemberRow {
  std::int64_t deployment = 0;
  std::int64_t device = 0;
  int state = 0;
  bool admitted = false;
  std::uint32_t attempts = 0;
};

struct AttemptRow {
  std::int64_t id = 0;
  std::int64_t deployment = 0;
  std::int64_t device = 0;
  std::string device_name{};  // joined on reading, ignored on writing
  int state = 0;
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
  std::int32_t code = 0;
  std::string message{};
  std::string resume_token{};
  std::string parts{};  // JSON
  std::int64_t started_ms = 0;
  std::optional<std::int64_t> ended_ms{};
};

// Beside a deployment that a store asked for.
struct AssignmentRow {
  std::int64_t deployment = 0;
  std::string device{};
  std::string said{};  // JSON
  int confirm = 0;
  std::optional<std::int64_t> outcome{};
};

// Numbers are the caller's, greater than any before.
struct NextIds {
  std::int64_t deployment = 1;
  std::int64_t attempt = 1;
};
Result<NextIds> next_ids(Reader& db);

Result<void> put_deployment(Writer& db, const DeploymentRow& row);
// Only what changes while it runs.
Result<void> update_deployment(Writer& db, const DeploymentRow& row);
// Those that have not ended, by id.
Result<std::vector<DeploymentRow>> open_deployments(Reader& db);
Result<std::optional<DeploymentRow>> find_deployment(Reader& db, std::int64_t id);
// Newest first, of a smaller id than `before` (0: any).
Result<std::vector<DeploymentRow>> page_deployments(Reader& db, std::int64_t before, bool over,
                                                    std::size_t limit);

Result<std::optional<DeploymentRow>> find_assigned(Reader& db, const std::string& origin,
                                                   const std::string& external_id);
// Its store may use that id again: the row keeps its origin, and is not found by it any more.
Result<void> release_external_id(Writer& db, std::int64_t id);
// Another wish under the same number.
Result<void> respec_deployment(Writer& db, std::int64_t id, const std::string& spec);
Result<void> put_assignment(Writer& db, const AssignmentRow& row);
Result<std::optional<AssignmentRow>> find_assignment(Reader& db, std::int64_t deployment);
// Those of stores that ended before; at most `most`. Their attempts go with them.
Result<std::int64_t> prune_assigned(Writer& db, std::int64_t before_ms, std::size_t most);

Result<void> put_member(Writer& db, const MemberRow& row);
Result<void> delete_member(Writer& db, std::int64_t deployment, std::int64_t device);
Result<void> delete_members(Writer& db, std::int64_t deployment);
// In pages, by the device's row number.
Result<std::vector<MemberRow>> page_members(Reader& db, std::int64_t deployment, std::int64_t after,
                                            std::size_t limit);

Result<void> put_attempt(Writer& db, const AttemptRow& row);
// In pages, by id.
Result<std::vector<AttemptRow>> page_open_attempts(Reader& db, std::int64_t after, std::size_t limit);
Result<std::optional<AttemptRow>> find_attempt(Reader& db, std::int64_t id);
struct AttemptQuery {
  std::string device{};         // by name; empty: all
  std::int64_t deployment = 0;  // 0: all
  std::int64_t before = 0;      // ids below; 0: from the newest
  std::size_t limit = 100;
};
Result<std::vector<AttemptRow>> page_attempts(Reader& db, const AttemptQuery& query);
// Of devices `after` in the order of names: the last attempt of each in that deployment.
Result<std::vector<AttemptRow>> last_attempts(Reader& db, std::int64_t deployment,
                                              const std::vector<std::int64_t>& devices);
// Ended ones of a device beyond `keep`, and those of all that ended before `before_ms`; at most `most`.
Result<std::int64_t> prune_attempts_of(Writer& db, std::int64_t device, std::uint32_t keep);
Result<std::int64_t> prune_attempts(Writer& db, std::int64_t before_ms, std::size_t most);

}  // namespace otagate::state
