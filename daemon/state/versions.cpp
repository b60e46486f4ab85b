#include "state/versions.hpp"

#include <span>

namespace otagate::state {

namespace {

// The row of a version, made if there is none.
Result<std::int64_t> version_id(Writer& db, const VersionKey& key) {
  auto found = db.one("SELECT id FROM object_version WHERE store = ? AND key = ? AND change_token = ?",
                      {key.store, key.key, key.change_token}, [](const Row& row) { return row.i64(0); });
  if (!found) return fail(std::move(found).error());
  if (*found) return **found;
  return db.returning("INSERT INTO object_version (store, key, change_token) VALUES (?, ?, ?) RETURNING id",
                      {key.store, key.key, key.change_token});
}

// NULLs are all different in a primary key: no digest is the empty one.
Value expected_value(const std::optional<Digest>& expected) {
  if (expected) return *expected;
  return std::span<const std::byte>();
}

}  // namespace

Result<std::optional<ObjectVersion>> find_version(Reader& db, const VersionKey& key) {
  return db.one(
      "SELECT id, generation, tag, digest FROM object_version WHERE store = ? AND key = ? AND change_token = "
      "?",
      {key.store, key.key, key.change_token}, [](const Row& row) {
        return ObjectVersion{row.i64(0), row.i64(1), row.optional_text(2), row.digest(3)};
      });
}

Result<std::string> settle_tag(Writer& db, const VersionKey& key, std::string_view tag) {
  auto said = db.one(
      "INSERT INTO object_version (store, key, change_token, tag) VALUES (?, ?, ?, ?)"
      " ON CONFLICT (store, key, change_token) DO UPDATE SET tag = COALESCE(tag, excluded.tag)"
      " RETURNING tag",
      {key.store, key.key, key.change_token, tag}, [](const Row& row) { return row.text(0); });
  if (!said) return fail(std::move(said).error());
  return std::move(**said);
}

Result<std::int64_t> retire_tag(Writer& db, const VersionKey& key) {
  const Result<std::int64_t> id = version_id(db, key);
  if (!id) return id;
  return db.returning(
      "UPDATE object_version SET generation = generation + 1, tag = NULL WHERE id = ? RETURNING generation",
      {*id});
}

Result<Digest> settle_digest(Writer& db, const VersionKey& key, const Digest& digest) {
  const Result<std::int64_t> id = version_id(db, key);
  if (!id) return fail(id.error());
  if (auto set =
          db.run("UPDATE object_version SET digest = ? WHERE id = ? AND digest IS NULL", {digest, *id});
      !set)
    return fail(std::move(set).error());
  auto recorded = db.one("SELECT digest FROM object_version WHERE id = ?", {*id},
                         [](const Row& row) { return row.digest(0); });
  if (!recorded) return fail(std::move(recorded).error());
  return ***recorded;
}

Result<void> reject(Writer& db, const VersionKey& key, const std::optional<Digest>& expected,
                    std::string_view reason, std::int64_t wall_ms) {
  const Result<std::int64_t> id = version_id(db, key);
  if (!id) return fail(id.error());
  return db.run(
      "INSERT INTO rejection (version, expected, reason, wall_ms) VALUES (?, ?, ?, ?)"
      " ON CONFLICT (version, expected) DO UPDATE SET reason = excluded.reason, wall_ms = excluded.wall_ms",
      {*id, expected_value(expected), reason, wall_ms});
}

Result<std::optional<Rejection>> find_rejection(Reader& db, const VersionKey& key,
                                                const std::optional<Digest>& expected) {
  return db.one(
      "SELECT r.reason, r.wall_ms FROM object_version v JOIN rejection r ON r.version = v.id"
      " WHERE v.store = ? AND v.key = ? AND v.change_token = ? AND r.expected = ?",
      {key.store, key.key, key.change_token, expected_value(expected)}, [](const Row& row) {
        return Rejection{row.text(0), row.i64(1)};
      });
}

Result<void> lift_rejections(Writer& db, const VersionKey& key) {
  return db.run(
      "DELETE FROM rejection WHERE version ="
      " (SELECT id FROM object_version WHERE store = ? AND key = ? AND change_token = ?)",
      {key.store, key.key, key.change_token});
}

Result<std::int64_t> prune_versions(Writer& db, std::uint64_t max_rows) {
  auto rows = db.one("SELECT count(*) FROM object_version", {}, [](const Row& row) { return row.u64(0); });
  if (!rows) return fail(std::move(rows).error());
  if (**rows <= max_rows) return 0;
  const std::uint64_t most = std::min<std::uint64_t>(**rows - max_rows, 1000);
  return db.run_counted(
      "DELETE FROM object_version WHERE id IN (SELECT v.id FROM object_version v"
      " WHERE NOT EXISTS (SELECT 1 FROM object o WHERE o.store = v.store AND o.key = v.key"
      " AND o.change_token = v.change_token)"
      " AND NOT EXISTS (SELECT 1 FROM fill f WHERE f.version = v.id) ORDER BY v.id LIMIT ?)",
      {most});
}

}  // namespace otagate::state
