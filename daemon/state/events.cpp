#include "state/events.hpp"

#include <algorithm>
#include <limits>

namespace otagate::state {

namespace {

constexpr std::size_t kLongestMessage = 4096;
constexpr std::size_t kLongestData = 16384;
constexpr std::int64_t kPruneEvery = 256;
constexpr std::int64_t kPruneBatch = 1000;

std::string select(std::string_view where) {
  return std::string(
             "SELECT sequence, wall_ms, clock_synchronised, kind, severity, instance, firmware, blob, device,"
             " message, data FROM event ")
      .append(where);
}

Event read_event(const Row& row) {
  return {.sequence = row.i64(0),
          .wall_ms = row.i64(1),
          .clock_synchronised = row.flag(2),
          .kind = row.text(3),
          .severity = static_cast<Severity>(row.i64(4)),
          .instance = row.optional_text(5),
          .firmware = row.optional_text(6),
          .blob = row.digest(7),
          .device = row.optional_text(8),
          .message = row.text(9),
          .data = row.text(10)};
}

Result<std::int64_t> prune_by_count(Writer& db, std::int64_t max_count) {
  return db.run_counted(
      "DELETE FROM event WHERE sequence IN (SELECT sequence FROM event"
      " WHERE sequence <= (SELECT max(sequence) FROM event) - ? ORDER BY sequence LIMIT ?)",
      {max_count, kPruneBatch});
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::notice: return "notice";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "info";
}

Result<std::int64_t> append_event(Writer& db, const Event& event, const EventLimits& limits) {
  if (event.message.size() > kLongestMessage || event.data.size() > kLongestData)
    return fail(Code::invalid, "event " + event.kind + ": message over 4 KiB or data over 16 KiB");
  const Result<std::int64_t> sequence = db.returning(
      "INSERT INTO event (wall_ms, clock_synchronised, kind, severity, instance, firmware, blob, device, "
      "message,"
      " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING sequence",
      {event.wall_ms, event.clock_synchronised, event.kind, static_cast<int>(event.severity), event.instance,
       event.firmware, event.blob, event.device, event.message, event.data});
  if (sequence && *sequence % kPruneEvery == 0)
    if (auto pruned = prune_by_count(db, limits.max_count); !pruned) return pruned;
  return sequence;
}

Result<std::int64_t> prune_events(Writer& db, const EventLimits& limits, std::int64_t wall_ms,
                                  bool clock_synchronised) {
  auto pruned = prune_by_count(db, limits.max_count);
  if (!pruned || !clock_synchronised) return pruned;
  auto aged = db.run_counted(
      "DELETE FROM event WHERE sequence IN (SELECT sequence FROM event"
      " WHERE clock_synchronised AND wall_ms < ? ORDER BY sequence LIMIT ?)",
      {wall_ms - limits.max_age_ms, kPruneBatch - std::min(*pruned, kPruneBatch)});
  if (!aged) return aged;
  return *pruned + *aged;
}

Result<std::vector<Event>> page_events(Reader& db, const EventQuery& query) {
  const std::uint64_t limit = std::min(query.limit, kEventPage);
  const bool prefix = query.kind && query.kind->ends_with('.');
  // A plain scan in order: there are at most max_count of them.
  const std::string_view kind_filter = prefix       ? "substr(kind, 1, length(?2)) = ?2"
                                       : query.kind ? "kind = ?2"
                                                    : "?2 IS NULL";
  std::string where = query.after ? "WHERE sequence > ?1 AND " : "WHERE sequence < ?1 AND ";
  where.append(kind_filter)
      .append(query.after ? " ORDER BY sequence LIMIT ?3" : " ORDER BY sequence DESC LIMIT ?3");
  const std::int64_t from =
      query.after.value_or(query.before.value_or(std::numeric_limits<std::int64_t>::max()));
  return db.all(select(where), {from, query.kind, limit}, read_event);
}

Result<std::int64_t> last_event(Reader& db) {
  auto last =
      db.one("SELECT COALESCE(max(sequence), 0) FROM event", {}, [](const Row& row) { return row.i64(0); });
  if (!last) return fail(std::move(last).error());
  return **last;
}

}  // namespace otagate::state
