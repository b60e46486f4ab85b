#include "state/outbox.hpp"

namespace otagate::state {

Result<std::int64_t> next_outbox(Reader& db) {
  const auto last = db.one("SELECT max(seq) FROM sqlite_sequence WHERE name = 'outbox'", {},
                           [](const Row& row) { return row.i64(0); });
  if (!last) return fail(last.error());
  return last->value_or(0) + 1;
}

Result<void> put_outbox(Writer& db, const OutboxRow& row, int replaces) {
  auto cleared = db.run("DELETE FROM outbox WHERE destination = ? AND subject = ? AND (kind = ? OR kind = ?)",
                        {row.destination, row.subject, row.kind, replaces});
  if (!cleared) return cleared;
  return db.run(
      "INSERT INTO outbox (id, destination, subject, kind, body, added_ms) VALUES (?, ?, ?, ?, ?, ?)",
      {row.id, row.destination, row.subject, row.kind, row.body, row.added_ms});
}

Result<void> delete_outbox(Writer& db, std::int64_t id) {
  return db.run("DELETE FROM outbox WHERE id = ?", {id});
}

Result<std::vector<OutboxRow>> page_outbox(Reader& db, const std::string& destination, std::int64_t after,
                                           std::size_t limit) {
  return db.all(
      "SELECT id, destination, subject, kind, body, added_ms FROM outbox WHERE destination = ? AND id > ?"
      " ORDER BY id LIMIT ?",
      {destination, after, std::uint64_t{limit}}, [](const Row& row) {
        return OutboxRow{.id = row.i64(0),
                         .destination = row.text(1),
                         .subject = row.text(2),
                         .kind = static_cast<int>(row.i64(3)),
                         .body = row.text(4),
                         .added_ms = row.i64(5)};
      });
}

Result<bool> has_outbox(Reader& db, const std::string& destination, const std::string& subject, int kind) {
  const auto found = db.one("SELECT 1 FROM outbox WHERE destination = ? AND subject = ? AND kind = ? LIMIT 1",
                            {destination, subject, kind}, [](const Row&) { return true; });
  if (!found) return fail(found.error());
  return found->has_value();
}

Result<std::int64_t> prune_outbox(Writer& db, std::int64_t before_ms, std::size_t most) {
  return db.run_counted(
      "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE added_ms < ? AND destination NOT IN"
      " (SELECT 'store:' || name FROM store WHERE configured = 1) ORDER BY id LIMIT ?)",
      {before_ms, std::uint64_t{most}});
}

}  // namespace otagate::state
