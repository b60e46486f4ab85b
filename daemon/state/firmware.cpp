#include "state/firmware.hpp"

#include <algorithm>
#include <string>

namespace otagate::state {

namespace {

constexpr std::uint64_t kMostRows = 64;

// Every query joins the store and the object. CROSS JOIN keeps firmware outermost: its index has the order.
constexpr std::string_view kFrom =
    " FROM firmware f CROSS JOIN store s ON s.id = f.store CROSS JOIN object o ON o.id = f.object ";

constexpr std::string_view kColumns =
    "SELECT f.id, f.object, f.store, f.name, f.version, f.type, f.kind, f.dependency, f.format, f.size,"
    " f.expected_digest, f.blob, f.verified, f.sequence, s.name, s.priority, o.key, o.change_token, o.flags,"
    " EXISTS (SELECT 1 FROM blob b WHERE b.digest = f.blob AND b.state = 0)";

// Another row of the same triple goes before this one; keep in step with kWinnerFirst.
constexpr std::string_view kShadowed =
    "EXISTS (SELECT 1 FROM firmware w JOIN store ws ON ws.id = w.store"
    " WHERE w.name = f.name AND w.version = f.version AND w.type = f.type AND ws.configured"
    " AND (ws.priority, -w.store, w.sequence, -w.id) > (s.priority, -f.store, f.sequence, -f.id))";
constexpr std::string_view kWinnerFirst = "s.priority DESC, f.store, f.sequence DESC, f.id";

// A digest that is not known yet conflicts with nothing.
constexpr std::string_view kConflict =
    "EXISTS (SELECT 1 FROM firmware w JOIN store ws ON ws.id = w.store"
    " WHERE w.name = f.name AND w.version = f.version AND w.type = f.type AND ws.configured"
    " AND COALESCE(w.blob, w.expected_digest) <> COALESCE(f.blob, f.expected_digest))";

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

Firmware read_firmware(const Row& row) {
  return {.id = row.i64(0),
          .object = row.i64(1),
          .store = row.i64(2),
          .name = row.text(3),
          .version = row.text(4),
          .type = row.text(5),
          .kind = row.text(6),
          .dependency = row.optional_text(7),
          .format = row.text(8),
          .size = row.optional_u64(9),
          .expected_digest = row.digest(10),
          .blob = row.digest(11),
          .verified = static_cast<Verified>(row.i64(12)),
          .sequence = row.i64(13),
          .store_name = row.text(14),
          .store_priority = static_cast<int>(row.i64(15)),
          .key = row.text(16),
          .change_token = row.text(17),
          .object_flags = static_cast<std::uint32_t>(row.i64(18)),
          .cached = row.flag(19)};
}

Firmware read_catalog_row(const Row& row) {
  Firmware firmware = read_firmware(row);
  firmware.shadowed = row.flag(20);
  firmware.conflict = row.flag(21);
  return firmware;
}

}  // namespace

std::string_view to_string(Verified level) {
  switch (level) {
    case Verified::none: return "none";
    case Verified::length: return "length";
    case Verified::format: return "format";
    case Verified::digest: return "digest";
    case Verified::signature: return "signature";
  }
  return "none";
}

Result<std::vector<Firmware>> resolve(Reader& db, std::string_view name, std::string_view version,
                                      std::optional<std::string_view> type) {
  std::vector<Firmware> winners;
  const auto keep_first_of_type = [&](const Row& row) {
    if (winners.empty() || winners.back().type != row.text(5)) {
      if (winners.size() == kMostRows) return false;
      winners.push_back(read_firmware(row));
    }
    return true;
  };
  static const std::string kSql =
      joined({kColumns, kFrom,
              "WHERE f.name = ?1 AND f.version = ?2 AND f.type = COALESCE(?3, f.type) AND s.configured"
              " ORDER BY f.type, ",
              kWinnerFirst});
  if (auto done = db.each(kSql, {name, version, type}, keep_first_of_type); !done)
    return fail(std::move(done).error());
  return winners;
}

Result<CatalogPage> page_catalog(Reader& db, const CatalogQuery& query) {
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kCatalogPage);
  const CatalogCursor after = query.after.value_or(CatalogCursor{});

  // With a name the index is entered at that name, else at the cursor. Type and store are looked at in the
  // index: passing over a row that does not match costs well under a microsecond.
  static const std::string kColumnsAndFlags =
      joined({kColumns, ", ", kShadowed, ", ", kConflict, kFrom,
              "WHERE s.configured AND (?6 IS NULL OR f.type = ?6) AND (?7 IS NULL OR f.store = ?7)"
              " AND NOT (?8 AND ",
              kShadowed, ") "});
  static const std::string kOrder = "ORDER BY f.name, f.version, f.type, f.store, f.id LIMIT ?9";
  static const std::string kAll = joined(
      {kColumnsAndFlags, "AND (f.name, f.version, f.type, f.store, f.id) > (?1, ?2, ?3, ?4, ?5) ", kOrder});
  static const std::string kOneName =
      joined({kColumnsAndFlags, "AND f.name = ?1 AND (f.version, f.type, f.store, f.id) > (?2, ?3, ?4, ?5) ",
              kOrder});

  CatalogPage page;
  std::optional<std::int64_t> store;
  if (query.store) {
    auto id = db.one("SELECT id FROM store WHERE name = ? AND configured", {*query.store},
                     [](const Row& row) { return row.i64(0); });
    if (!id) return fail(std::move(id).error());
    if (!*id) return page;
    store = *id;
  }
  CatalogCursor from = after;
  if (query.name) {
    if (after.name > *query.name) return page;
    if (after.name < *query.name) from = {};
    from.name = *query.name;
  }
  auto items = db.all(query.name ? kOneName : kAll,
                      {from.name, from.version, from.type, from.store, from.id, query.type, store,
                       query.winners_only, std::uint64_t{limit + 1}},
                      read_catalog_row);
  if (!items) return fail(std::move(items).error());
  page.items = std::move(*items);
  if (page.items.size() > limit) {
    page.items.pop_back();
    const Firmware& last = page.items.back();
    page.next = CatalogCursor{last.name, last.version, last.type, last.store, last.id};
  }
  return page;
}

Result<UncachedPage> page_uncached(Reader& db, std::int64_t store, std::int64_t after, std::size_t limit) {
  UncachedPage page;
  std::size_t looked_at = 0;
  auto done = db.each(
      "SELECT f.id, f.size, f.store = ?2 AND NOT EXISTS"
      " (SELECT 1 FROM blob b WHERE b.digest = f.blob AND b.state = 0)"
      " FROM firmware f WHERE f.id > ?1 ORDER BY f.id LIMIT ?3",
      {after, store, std::uint64_t{limit}}, [&](const Row& row) {
        ++looked_at;
        page.next = row.i64(0);
        if (row.flag(2)) page.items.push_back({row.i64(0), row.optional_u64(1)});
        return true;
      });
  if (!done) return fail(std::move(done).error());
  if (looked_at < limit) page.next.reset();
  return page;
}

Result<std::optional<Firmware>> get_firmware(Reader& db, std::int64_t id) {
  static const std::string kSql = joined({kColumns, kFrom, "WHERE f.id = ?"});
  return db.one(kSql, {id}, read_firmware);
}

Result<std::vector<Firmware>> firmware_of_object(Reader& db, std::int64_t object) {
  static const std::string kSql =
      joined({kColumns, kFrom, "WHERE f.object = ? ORDER BY f.name, f.version, f.type LIMIT 1000"});
  return db.all(kSql, {object}, read_firmware);
}

Result<std::vector<Firmware>> firmware_of_digest(Reader& db, const Digest& digest) {
  static const std::string kSql =
      joined({kColumns, kFrom,
              "WHERE COALESCE(f.blob, f.expected_digest) = ? AND s.configured ORDER BY f.id LIMIT ?"});
  return db.all(kSql, {digest, kMostRows}, read_firmware);
}

Result<std::vector<Firmware>> firmware_of_triple(Reader& db, std::string_view name, std::string_view version,
                                                 std::string_view type) {
  static const std::string kSql =
      joined({kColumns, kFrom, "WHERE f.name = ? AND f.version = ? AND f.type = ? AND s.configured ORDER BY ",
              kWinnerFirst, " LIMIT ?"});
  return db.all(kSql, {name, version, type, kMostRows}, read_firmware);
}

Result<std::uint64_t> count_triple(Reader& db, std::string_view name, std::string_view version,
                                   std::string_view type) {
  auto rows = db.one("SELECT count(*) FROM firmware WHERE name = ? AND version = ? AND type = ?",
                     {name, version, type}, [](const Row& row) { return row.u64(0); });
  if (!rows) return fail(std::move(rows).error());
  return **rows;
}

Result<std::int64_t> put_firmware(Writer& db, const Firmware& firmware) {
  return db.returning(
      "INSERT INTO firmware (object, store, name, version, type, kind, dependency, format, size, "
      "expected_digest,"
      " blob, verified, sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT (object, name, version, type) DO UPDATE SET kind = excluded.kind,"
      " dependency = excluded.dependency, format = excluded.format, size = excluded.size,"
      " expected_digest = excluded.expected_digest, blob = excluded.blob, verified = excluded.verified,"
      " sequence = excluded.sequence"
      " RETURNING id",
      {firmware.object, firmware.store, firmware.name, firmware.version, firmware.type, firmware.kind,
       firmware.dependency, firmware.format, firmware.size, firmware.expected_digest, firmware.blob,
       static_cast<int>(firmware.verified), firmware.sequence});
}

Result<void> keep_firmware(Writer& db, std::int64_t object, std::span<const std::int64_t> ids) {
  auto rows =
      db.all("SELECT id FROM firmware WHERE object = ?", {object}, [](const Row& row) { return row.i64(0); });
  if (!rows) return fail(std::move(rows).error());
  for (const std::int64_t id : *rows) {
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
    if (auto done = db.run("DELETE FROM firmware WHERE id = ?", {id}); !done) return done;
  }
  return {};
}

Result<void> set_blob(Writer& db, std::int64_t object, const Digest& blob, std::uint64_t size,
                      Verified verified) {
  return db.run("UPDATE firmware SET blob = ?, size = ?, verified = ? WHERE object = ?",
                {blob, size, static_cast<int>(verified), object});
}

}  // namespace otagate::state
