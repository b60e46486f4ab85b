#include "state/query.hpp"

#include <sqlite3.h>

#include <cstring>

#include "state/connection.hpp"

namespace otagate::state {

bool Row::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t Row::i64(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Row::text(int column) const {
  const unsigned char* data = sqlite3_column_text(statement_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::optional<std::int64_t> Row::optional_i64(int column) const {
  if (is_null(column)) return std::nullopt;
  return i64(column);
}

std::optional<std::uint64_t> Row::optional_u64(int column) const {
  if (is_null(column)) return std::nullopt;
  return u64(column);
}

std::optional<std::string> Row::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return text(column);
}

std::optional<Digest> Row::digest(int column) const {
  Digest digest;
  const void* data = sqlite3_column_blob(statement_, column);
  if (data == nullptr || sqlite3_column_bytes(statement_, column) != static_cast<int>(digest.bytes.size()))
    return std::nullopt;
  std::memcpy(digest.bytes.data(), data, digest.bytes.size());
  return digest;
}

Result<void> Reader::each(std::string_view sql, Values values, const std::function<bool(const Row&)>& row) {
  // Statements too short for the progress handler count as well.
  if (connection_.past_deadline())
    return fail(Code::deadline, "reading the state took too long; ask for a smaller page");
  auto statement = connection_.prepare(sql);
  if (!statement) return fail(std::move(statement).error());
  if (auto bound = statement->bind(values); !bound) return bound;
  while (true) {
    const Result<bool> more = statement->step();
    if (!more) return fail(more.error());
    if (!*more || !row(statement->row())) return {};
  }
}

Result<void> Writer::run(std::string_view sql, Values values) { return connection_.run(sql, values); }

Result<std::int64_t> Writer::run_counted(std::string_view sql, Values values) {
  if (auto done = connection_.run(sql, values); !done) return fail(std::move(done).error());
  return connection_.changes();
}

Result<std::int64_t> Writer::returning(std::string_view sql, Values values) {
  auto number = one(sql, values, [](const Row& row) { return row.i64(0); });
  if (!number) return fail(std::move(number).error());
  return number->value_or(0);
}

}  // namespace otagate::state
