#include "state/objects.hpp"

#include <algorithm>
#include <cassert>

namespace otagate::state {

namespace {

constexpr std::string_view kColumns =
    "id, store, key, change_token, size, flags, digest, modified_ms, metadata, skipped";

std::string select(std::string_view where) {
  return std::string("SELECT ").append(kColumns).append(" FROM object ").append(where);
}

Object read_object(const Row& row) {
  return {.id = row.i64(0),
          .store = row.i64(1),
          .key = row.text(2),
          .change_token = row.text(3),
          .size = row.optional_u64(4),
          .flags = static_cast<std::uint32_t>(row.i64(5)),
          .digest = row.digest(6),
          .modified_ms = row.optional_i64(7),
          .metadata = row.text(8),
          .skipped = row.optional_text(9)};
}

}  // namespace

void SeenIds::add(std::int64_t id) {
  assert(id >= 0);
  const auto index = static_cast<std::size_t>(id);
  if (index >= bits_.size()) bits_.resize(std::max(index + 1, bits_.size() * 2));
  bits_[index] = true;
}

bool SeenIds::contains(std::int64_t id) const {
  const auto index = static_cast<std::size_t>(id);
  return index < bits_.size() && bits_[index];
}

Result<std::vector<std::optional<Object>>> find_objects(Reader& db, std::int64_t store,
                                                        std::span<const std::string> keys) {
  assert(keys.size() <= kObjectPage);
  std::vector<std::optional<Object>> objects;
  objects.reserve(keys.size());
  for (const std::string& key : keys) {
    auto object = find_object(db, store, key);
    if (!object) return fail(std::move(object).error());
    objects.push_back(std::move(*object));
  }
  return objects;
}

Result<std::optional<Object>> find_object(Reader& db, std::int64_t store, std::string_view key) {
  static const std::string kSql = select("WHERE store = ? AND key = ?");
  return db.one(kSql, {store, key}, read_object);
}

Result<std::optional<Object>> get_object(Reader& db, std::int64_t id) {
  static const std::string kSql = select("WHERE id = ?");
  return db.one(kSql, {id}, read_object);
}

Result<std::vector<std::int64_t>> find_by_prefix(Reader& db, std::int64_t store, std::string_view prefix,
                                                 std::size_t limit,
                                                 const std::function<bool(std::string_view key)>& wanted) {
  std::vector<std::int64_t> found;
  std::size_t left = std::min(limit, kObjectPage);
  auto done = db.each("SELECT id, key FROM object WHERE store = ? AND key >= ? ORDER BY key", {store, prefix},
                      [&](const Row& row) {
                        const std::string key = row.text(1);
                        if (left-- == 0 || !key.starts_with(prefix)) return false;
                        if (wanted(key)) found.push_back(row.i64(0));
                        return true;
                      });
  if (!done) return fail(std::move(done).error());
  return found;
}

Result<std::vector<Object>> page_objects(Reader& db, std::int64_t store, std::string_view after,
                                         std::size_t limit, bool only_skipped) {
  const std::uint64_t most = std::min(limit, kObjectPage);
  // Two texts, so that the second can use the index of the skipped.
  const std::string sql =
      select(only_skipped ? "WHERE store = ? AND key > ? AND skipped IS NOT NULL ORDER BY key LIMIT ?"
                          : "WHERE store = ? AND key > ? ORDER BY key LIMIT ?");
  return db.all(sql, {store, after, most}, read_object);
}

Result<CountPage> count_objects(Reader& db, std::int64_t store, std::string_view after, std::size_t limit,
                                bool only_skipped) {
  // Both are read from their index alone.
  constexpr std::string_view kAny =
      "SELECT count(*), max(key) FROM"
      " (SELECT key FROM object WHERE store = ? AND key > ? ORDER BY key LIMIT ?)";
  constexpr std::string_view kSkipped =
      "SELECT count(*), max(key) FROM"
      " (SELECT key FROM object WHERE store = ? AND key > ? AND skipped IS NOT NULL ORDER BY key LIMIT ?)";
  auto page =
      db.one(only_skipped ? kSkipped : kAny, {store, after, std::uint64_t{limit}}, [](const Row& row) {
        return CountPage{row.u64(0), row.optional_text(1)};
      });
  if (!page) return fail(std::move(page).error());
  if ((*page)->count < limit) (*page)->next.reset();
  return std::move(**page);
}

Result<std::int64_t> put_object(Writer& db, const Object& object) {
  return db.returning(
      "INSERT INTO object (store, key, change_token, size, flags, digest, modified_ms, metadata, skipped)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT (store, key) DO UPDATE SET change_token = excluded.change_token, size = excluded.size,"
      " flags = excluded.flags, digest = excluded.digest, modified_ms = excluded.modified_ms,"
      " metadata = excluded.metadata, skipped = excluded.skipped"
      " RETURNING id",
      {object.store, object.key, object.change_token, object.size, object.flags, object.digest,
       object.modified_ms, object.metadata, object.skipped});
}

Result<void> set_skipped(Writer& db, std::int64_t id, const std::optional<std::string>& skipped) {
  return db.run("UPDATE object SET skipped = ? WHERE id = ?", {skipped, id});
}

Result<void> delete_object(Writer& db, std::int64_t id) {
  return db.run("DELETE FROM object WHERE id = ?", {id});
}

Result<VanishedPage> page_vanished(Reader& db, std::int64_t store, std::string_view after,
                                   const SeenIds& seen, std::size_t limit) {
  // Only the index on (store, key) is read here; the row of an object that is still there is not.
  std::vector<std::int64_t> vanished;
  std::string last;
  std::size_t looked_at = 0;
  bool more = false;
  auto done = db.each("SELECT id, key FROM object WHERE store = ? AND key > ? ORDER BY key", {store, after},
                      [&](const Row& row) {
                        more = looked_at == limit;
                        if (more) return false;
                        ++looked_at;
                        if (!seen.contains(row.i64(0))) vanished.push_back(row.i64(0));
                        last = row.text(1);
                        return true;
                      });
  if (!done) return fail(std::move(done).error());

  VanishedPage page;
  if (more) page.next = std::move(last);
  for (const std::int64_t id : vanished) {
    auto object = get_object(db, id);
    if (!object) return fail(std::move(object).error());
    if (*object) page.objects.push_back(std::move(**object));
  }
  return page;
}

}  // namespace otagate::state
