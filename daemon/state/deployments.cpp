#include "state/deployments.hpp"

#include <algorithm>

namespace otagate::state {

namespace {

constexpr std::string_view kDeployment =
    "SELECT id, spec, state, why, wave, forgiven, release, origin, external_id, created_ms, ended_ms"
    " FROM deployment ";
constexpr std::string_view kAttempt =
    "SELECT a.id, a.deployment, a.device, d.name, a.state, a.part, a.offset, a.code, a.message,"
    " a.resume_token, a.parts, a.started_ms, a.ended_ms FROM attempt a JOIN device d ON d.id = a.device ";

std::string with(std::string_view select, std::string_view rest) { return std::string(select).append(rest); }

DeploymentRow read_deployment(const Row& row) {
  return {.id = row.i64(0),
          .spec = row.text(1),
          .state = static_cast<int>(row.i64(2)),
          .why = row.text(3),
          .wave = static_cast<std::uint32_t>(row.u64(4)),
          .forgiven = static_cast<std::uint32_t>(row.u64(5)),
          .release = row.text(6),
          .origin = row.optional_text(7),
          .external_id = row.optional_text(8),
          .created_ms = row.i64(9),
          .ended_ms = row.optional_i64(10)};
}

AttemptRow read_attempt(const Row& row) {
  return {.id = row.i64(0),
          .deployment = row.i64(1),
          .device = row.i64(2),
          .device_name = row.text(3),
          .state = static_cast<int>(row.i64(4)),
          .part = static_cast<std::uint32_t>(row.u64(5)),
          .offset = row.u64(6),
          .code = static_cast<std::int32_t>(row.i64(7)),
          .message = row.text(8),
          .resume_token = row.text(9),
          .parts = row.text(10),
          .started_ms = row.i64(11),
          .ended_ms = row.optional_i64(12)};
}

}  // namespace

Result<NextIds> next_ids(Reader& db) {
  NextIds ids;
  auto read = db.each("SELECT name, seq FROM sqlite_sequence WHERE name IN ('deployment', 'attempt')", {},
                      [&](const Row& row) {
                        (row.text(0) == "attempt" ? ids.attempt : ids.deployment) = row.i64(1) + 1;
                        return true;
                      });
  if (!read) return fail(std::move(read).error());
  return ids;
}

Result<void> put_deployment(Writer& db, const DeploymentRow& row) {
  return db.run(
      "INSERT INTO deployment (id, spec, state, why, wave, forgiven, release, origin, external_id,"
      " created_ms, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {row.id, row.spec, row.state, row.why, row.wave, row.forgiven, row.release, row.origin, row.external_id,
       row.created_ms, row.ended_ms});
}

Result<void> update_deployment(Writer& db, const DeploymentRow& row) {
  return db.run(
      "UPDATE deployment SET state = ?, why = ?, wave = ?, forgiven = ?, release = ?, ended_ms = ?"
      " WHERE id = ?",
      {row.state, row.why, row.wave, row.forgiven, row.release, row.ended_ms, row.id});
}

Result<std::vector<DeploymentRow>> open_deployments(Reader& db) {
  return db.all(with(kDeployment, "WHERE ended_ms IS NULL ORDER BY id"), {}, read_deployment);
}

Result<std::optional<DeploymentRow>> find_deployment(Reader& db, std::int64_t id) {
  return db.one(with(kDeployment, "WHERE id = ?"), {id}, read_deployment);
}

Result<std::vector<DeploymentRow>> page_deployments(Reader& db, std::int64_t before, bool over,
                                                    std::size_t limit) {
  return db.all(
      with(kDeployment, "WHERE (?1 = 0 OR id < ?1) AND (?2 OR ended_ms IS NULL) ORDER BY id DESC LIMIT ?3"),
      {before, over, std::uint64_t{limit}}, read_deployment);
}

Result<std::optional<DeploymentRow>> find_assigned(Reader& db, const std::string& origin,
                                                   const std::string& external_id) {
  return db.one(with(kDeployment, "WHERE origin = ? AND external_id = ?"), {origin, external_id},
                read_deployment);
}

Result<void> release_external_id(Writer& db, std::int64_t id) {
  return db.run("UPDATE deployment SET external_id = NULL WHERE id = ?", {id});
}

Result<void> respec_deployment(Writer& db, std::int64_t id, const std::string& spec) {
  return db.run("UPDATE deployment SET spec = ? WHERE id = ?", {spec, id});
}

Result<void> put_assignment(Writer& db, const AssignmentRow& row) {
  return db.run(
      "INSERT INTO assignment (deployment, device, said, confirm, outcome) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT (deployment) DO UPDATE SET said = ?3, confirm = ?4, outcome = ?5",
      {row.deployment, row.device, row.said, row.confirm, row.outcome});
}

Result<std::optional<AssignmentRow>> find_assignment(Reader& db, std::int64_t deployment) {
  return db.one("SELECT deployment, device, said, confirm, outcome FROM assignment WHERE deployment = ?",
                {deployment}, [](const Row& row) {
                  return AssignmentRow{.deployment = row.i64(0),
                                       .device = row.text(1),
                                       .said = row.text(2),
                                       .confirm = static_cast<int>(row.i64(3)),
                                       .outcome = row.optional_i64(4)};
                });
}

Result<std::int64_t> prune_assigned(Writer& db, std::int64_t before_ms, std::size_t most) {
  return db.run_counted(
      "DELETE FROM deployment WHERE id IN (SELECT a.deployment FROM assignment a JOIN deployment d ON"
      " d.id = a.deployment WHERE d.ended_ms < ? ORDER BY a.deployment LIMIT ?)",
      {before_ms, std::uint64_t{most}});
}

Result<void> put_member(Writer& db, const MemberRow& row) {
  return db.run(
      "INSERT INTO member (deployment, device, state, admitted, attempts) VALUES (?1, ?2, ?3, ?4, ?5)"
      " ON CONFLICT (deployment, device) DO UPDATE SET state = ?3, admitted = ?4, attempts = ?5",
      {row.deployment, row.device, row.state, row.admitted, row.attempts});
}

Result<void> delete_member(Writer& db, std::int64_t deployment, std::int64_t device) {
  return db.run("DELETE FROM member WHERE deployment = ? AND device = ?", {deployment, device});
}

Result<void> delete_members(Writer& db, std::int64_t deployment) {
  return db.run("DELETE FROM member WHERE deployment = ?", {deployment});
}

Result<std::vector<MemberRow>> page_members(Reader& db, std::int64_t deployment, std::int64_t after,
                                            std::size_t limit) {
  return db.all(
      "SELECT deployment, device, state, admitted, attempts FROM member"
      " WHERE deployment = ? AND device > ? ORDER BY device LIMIT ?",
      {deployment, after, std::uint64_t{limit}}, [](const Row& row) {
        return MemberRow{.deployment = row.i64(0),
                         .device = row.i64(1),
                         .state = static_cast<int>(row.i64(2)),
                         .admitted = row.flag(3),
                         .attempts = static_cast<std::uint32_t>(row.u64(4))};
      });
}

Result<void> put_attempt(Writer& db, const AttemptRow& row) {
  const auto token = std::as_bytes(std::span(row.resume_token.data(), row.resume_token.size()));
  return db.run(
      "INSERT INTO attempt (id, deployment, device, state, part, offset, code, message, resume_token, parts,"
      " started_ms, ended_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
      " ON CONFLICT (id) DO UPDATE SET state = ?4, part = ?5, offset = ?6, code = ?7, message = ?8,"
      " resume_token = ?9, ended_ms = ?12",
      {row.id, row.deployment, row.device, row.state, row.part, row.offset, row.code, row.message, token,
       row.parts, row.started_ms, row.ended_ms});
}

Result<std::vector<AttemptRow>> page_open_attempts(Reader& db, std::int64_t after, std::size_t limit) {
  return db.all(with(kAttempt, "WHERE a.ended_ms IS NULL AND a.id > ? ORDER BY a.id LIMIT ?"),
                {after, std::uint64_t{limit}}, read_attempt);
}

Result<std::optional<AttemptRow>> find_attempt(Reader& db, std::int64_t id) {
  return db.one(with(kAttempt, "WHERE a.id = ?"), {id}, read_attempt);
}

Result<std::vector<AttemptRow>> page_attempts(Reader& db, const AttemptQuery& query) {
  const std::uint64_t limit = query.limit;
  if (!query.device.empty()) {
    return db.all(with(kAttempt,
                       "WHERE a.device = (SELECT id FROM device WHERE name = ?1) AND (?2 = 0 OR"
                       " a.deployment = ?2) AND (?3 = 0 OR a.id < ?3) ORDER BY a.id DESC LIMIT ?4"),
                  {query.device, query.deployment, query.before, limit}, read_attempt);
  }
  if (query.deployment != 0) {
    return db.all(
        with(kAttempt, "WHERE a.deployment = ?1 AND (?2 = 0 OR a.id < ?2) ORDER BY a.id DESC LIMIT ?3"),
        {query.deployment, query.before, limit}, read_attempt);
  }
  return db.all(with(kAttempt, "WHERE ?1 = 0 OR a.id < ?1 ORDER BY a.id DESC LIMIT ?2"),
                {query.before, limit}, read_attempt);
}

Result<std::vector<AttemptRow>> last_attempts(Reader& db, std::int64_t deployment,
                                              const std::vector<std::int64_t>& devices) {
  std::vector<AttemptRow> rows;
  for (const std::int64_t device : devices) {
    auto row = db.one(with(kAttempt, "WHERE a.device = ? AND a.deployment = ? ORDER BY a.id DESC LIMIT 1"),
                      {device, deployment}, read_attempt);
    if (!row) return fail(std::move(row).error());
    if (*row) rows.push_back(std::move(**row));
  }
  return rows;
}

Result<std::int64_t> prune_attempts_of(Writer& db, std::int64_t device, std::uint32_t keep) {
  return db.run_counted(
      "DELETE FROM attempt WHERE device = ?1 AND ended_ms IS NOT NULL AND id <= (SELECT id FROM attempt"
      " WHERE device = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
      {device, keep});
}

Result<std::int64_t> prune_attempts(Writer& db, std::int64_t before_ms, std::size_t most) {
  return db.run_counted(
      "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE ended_ms < ? ORDER BY id LIMIT ?)",
      {before_ms, std::uint64_t{most}});
}

}  // namespace otagate::state
