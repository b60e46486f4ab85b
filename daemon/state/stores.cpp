#include "state/stores.hpp"

namespace otagate::state {

namespace {

constexpr std::string_view kColumns =
    "id, name, plugin, priority, configured, list_cursor, sync_sequence, last_sync_ms, last_ok_ms, "
    "last_error,"
    " requests, body_bytes";

std::string select(std::string_view where) {
  return std::string("SELECT ").append(kColumns).append(" FROM store ").append(where);
}

Store read_store(const Row& row) {
  return {.id = row.i64(0),
          .name = row.text(1),
          .plugin = row.text(2),
          .priority = static_cast<int>(row.i64(3)),
          .configured = row.flag(4),
          .list_cursor = row.text(5),
          .sync_sequence = row.i64(6),
          .last_sync_ms = row.i64(7),
          .last_ok_ms = row.i64(8),
          .last_error = row.optional_text(9),
          .requests = row.u64(10),
          .body_bytes = row.u64(11)};
}

}  // namespace

Result<std::vector<Store>> set_stores(Writer& db, std::span<const StoreConfig> stores) {
  if (auto done = db.run("UPDATE store SET configured = 0 WHERE configured", {}); !done)
    return fail(std::move(done).error());
  std::vector<Store> found;
  for (const StoreConfig& config : stores) {
    if (auto done = db.run("INSERT INTO store (name, plugin, priority, configured) VALUES (?, ?, ?, 1)"
                           " ON CONFLICT (name) DO UPDATE SET plugin = excluded.plugin,"
                           " priority = excluded.priority, configured = 1",
                           {config.name, config.plugin, config.priority});
        !done)
      return fail(std::move(done).error());
    auto store = find_store(db, config.name);
    if (!store) return fail(std::move(store).error());
    found.push_back(std::move(**store));
  }
  return found;
}

Result<std::vector<Store>> configured_stores(Reader& db) {
  return db.all(select("WHERE configured ORDER BY id"), {}, read_store);
}

Result<std::optional<Store>> find_store(Reader& db, std::string_view name) {
  return db.one(select("WHERE name = ?"), {name}, read_store);
}

Result<void> save_list_cursor(Writer& db, std::int64_t store, std::string_view cursor) {
  return db.run("UPDATE store SET list_cursor = ? WHERE id = ?", {cursor, store});
}

Result<std::int64_t> finish_sync(Writer& db, std::int64_t store, std::int64_t wall_ms) {
  return db.returning(
      "UPDATE store SET list_cursor = '', sync_sequence = sync_sequence + 1, last_sync_ms = ?2, last_ok_ms = "
      "?2,"
      " last_error = NULL WHERE id = ?1 RETURNING sync_sequence",
      {store, wall_ms});
}

Result<void> fail_sync(Writer& db, std::int64_t store, std::int64_t wall_ms, std::string_view error) {
  return db.run("UPDATE store SET last_sync_ms = ?, last_error = ? WHERE id = ?", {wall_ms, error, store});
}

Result<void> add_store_traffic(Writer& db, std::int64_t store, std::uint64_t requests,
                               std::uint64_t body_bytes) {
  return db.run("UPDATE store SET requests = requests + ?, body_bytes = body_bytes + ? WHERE id = ?",
                {requests, body_bytes, store});
}

Result<std::int64_t> prune_unconfigured(Writer& db, std::int64_t before_ms, std::size_t most) {
  return db.run_counted(
      "DELETE FROM object WHERE id IN (SELECT o.id FROM store s CROSS JOIN object o ON o.store = s.id"
      " WHERE NOT s.configured AND s.last_sync_ms < ? LIMIT ?)",
      {before_ms, std::uint64_t{most}});
}

}  // namespace otagate::state
