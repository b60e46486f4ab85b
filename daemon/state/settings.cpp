#include "state/settings.hpp"

namespace otagate::state {

Result<std::optional<std::string>> get_setting(Reader& db, std::string_view key) {
  return db.one("SELECT value FROM setting WHERE key = ?", {key}, [](const Row& row) { return row.text(0); });
}

Result<void> put_setting(Writer& db, std::string_view key, std::string_view value) {
  return db.run(
      "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      {key, value});
}

Result<void> delete_setting(Writer& db, std::string_view key) {
  return db.run("DELETE FROM setting WHERE key = ?", {key});
}

Result<std::int64_t> time_floor(Reader& db) {
  auto floor = db.one("SELECT CAST(value AS INTEGER) FROM setting WHERE key = 'time.floor_ms'", {},
                      [](const Row& row) { return row.i64(0); });
  if (!floor) return fail(std::move(floor).error());
  return floor->value_or(0);
}

Result<void> raise_time_floor(Writer& db, std::int64_t wall_ms) {
  return db.run(
      "INSERT INTO setting (key, value) VALUES ('time.floor_ms', ?1) ON CONFLICT (key) DO UPDATE"
      " SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)",
      {std::to_string(wall_ms)});
}

}  // namespace otagate::state
