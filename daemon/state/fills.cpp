#include "state/fills.hpp"

namespace otagate::state {

Result<std::int64_t> start_fill(Writer& db, const Fill& fill) {
  const VersionKey& key = fill.version;
  if (auto made = db.run("INSERT INTO object_version (store, key, change_token) VALUES (?, ?, ?)"
                         " ON CONFLICT DO NOTHING",
                         {key.store, key.key, key.change_token});
      !made)
    return fail(std::move(made).error());
  const Result<std::int64_t> id = db.returning(
      "INSERT INTO fill (version, generation, expected_digest, size, started_ms)"
      " SELECT id, ?4, ?5, ?6, ?7 FROM object_version WHERE store = ?1 AND key = ?2 AND change_token = ?3"
      " ON CONFLICT (version) DO NOTHING RETURNING id",
      {key.store, key.key, key.change_token, fill.generation, fill.expected_digest, fill.size,
       fill.started_ms});
  if (id && *id == 0) return fail(Code::busy, "a fill of " + key.key + " is in progress already");
  return id;
}

Result<void> end_fill(Writer& db, std::int64_t id) { return db.run("DELETE FROM fill WHERE id = ?", {id}); }

Result<std::vector<Fill>> open_fills(Reader& db) {
  return db.all(
      "SELECT f.id, v.store, v.key, v.change_token, f.generation, f.expected_digest, f.size, f.started_ms"
      " FROM fill f JOIN object_version v ON v.id = f.version ORDER BY f.id LIMIT 10000",
      {}, [](const Row& row) {
        return Fill{.id = row.i64(0),
                    .version = {row.i64(1), row.text(2), row.text(3)},
                    .generation = row.i64(4),
                    .expected_digest = row.digest(5),
                    .size = row.optional_u64(6),
                    .started_ms = row.i64(7)};
      });
}

}  // namespace otagate::state
