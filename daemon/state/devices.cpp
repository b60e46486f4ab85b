#include "state/devices.hpp"

namespace otagate::state {

Result<void> put_device(Writer& db, const DeviceRow& row) {
  return db.run(
      "INSERT INTO device (id, name, type, approval, tags, transport, address, first_seen_ms, last_seen_ms,"
      " versions, attributes, token, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
      " ON CONFLICT (id) DO UPDATE SET type = ?3, approval = ?4, tags = ?5, transport = ?6, address = ?7,"
      " last_seen_ms = ?9, versions = ?10, attributes = ?11, token = ?12,"
      " held = ?13",
      {row.id, row.name, row.type, row.approval, row.tags, row.transport, row.address, row.first_seen_ms,
       row.last_seen_ms, row.versions, row.attributes, row.token, row.held});
}

Result<void> seen_device(Writer& db, std::int64_t id, std::string_view transport, std::string_view address,
                         std::int64_t last_seen_ms) {
  return db.run("UPDATE device SET transport = ?, address = ?, last_seen_ms = ? WHERE id = ?",
                {transport, address, last_seen_ms, id});
}

Result<void> delete_device(Writer& db, std::int64_t id) {
  return db.run("DELETE FROM device WHERE id = ?", {id});
}

Result<std::vector<DeviceRow>> page_devices(Reader& db, std::int64_t after, std::size_t limit) {
  return db.all(
      "SELECT id, name, type, approval, tags, transport, address, first_seen_ms, last_seen_ms, versions,"
      " attributes, token, held FROM device WHERE id > ? ORDER BY id LIMIT ?",
      {after, std::uint64_t{limit}}, [](const Row& from) {
        return DeviceRow{.id = from.i64(0),
                         .name = from.text(1),
                         .type = from.text(2),
                         .approval = static_cast<int>(from.i64(3)),
                         .tags = from.text(4),
                         .transport = from.text(5),
                         .address = from.text(6),
                         .first_seen_ms = from.i64(7),
                         .last_seen_ms = from.i64(8),
                         .versions = from.text(9),
                         .attributes = from.text(10),
                         .token = from.digest(11),
                         .held = from.text(12)};
      });
}

Result<std::int64_t> next_device(Reader& db) {
  const auto last = db.one("SELECT max(seq) FROM sqlite_sequence WHERE name = 'device'", {},
                           [](const Row& row) { return row.i64(0); });
  if (!last) return fail(last.error());
  return last->value_or(0) + 1;
}

}  // namespace otagate::state
