// How SQL is run: values in, rows out, errors as values. SQLite's own header stays inside the module.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"

struct sqlite3_stmt;

namespace otagate::state {

class Connection;

// One bound parameter. Borrows text and bytes: it lives for the call it is passed to.
class Value {
 public:
  Value(std::nullptr_t) {}                                                          // NOLINT: implicit
  Value(std::int64_t number) : data_(number) {}                                     // NOLINT: implicit
  Value(int number) : data_(std::int64_t{number}) {}                                // NOLINT: implicit
  Value(bool flag) : data_(std::int64_t{flag}) {}                                   // NOLINT: implicit
  Value(std::uint32_t number) : data_(std::int64_t{number}) {}                      // NOLINT: implicit
  Value(std::string_view text) : data_(text) {}                                     // NOLINT: implicit
  Value(const std::string& text) : data_(std::string_view(text)) {}                 // NOLINT: implicit
  Value(const char* text) : data_(std::string_view(text)) {}                        // NOLINT: implicit
  Value(const Digest& digest) : data_(std::span<const std::byte>(digest.bytes)) {}  // NOLINT: implicit
  Value(std::span<const std::byte> bytes) : data_(bytes) {}                         // NOLINT: implicit
  // Unsigned sizes and counters: SQLite has no unsigned type, nothing here reaches 2^63.
  Value(std::uint64_t number) : data_(static_cast<std::int64_t>(number)) {
    assert(number >> 63 == 0);
  }  // NOLINT
  template <class T>
  Value(const std::optional<T>& value) {  // NOLINT: implicit; nothing becomes NULL
    if (value) *this = Value(*value);
  }
  Value(std::optional<std::string>&&) = delete;  // would dangle

  using Data = std::variant<std::monostate, std::int64_t, std::string_view, std::span<const std::byte>>;
  const Data& data() const { return data_; }

 private:
  Data data_;
};

using Values = std::initializer_list<Value>;

// One row of a result, valid inside the callback it is given to. Columns count from 0. NULL reads as
// 0, as empty text, or as nullopt by the getter; wrong types convert as SQLite does.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}

  bool is_null(int column) const;
  std::int64_t i64(int column) const;
  std::uint64_t u64(int column) const { return static_cast<std::uint64_t>(i64(column)); }
  bool flag(int column) const { return i64(column) != 0; }
  std::string text(int column) const;
  std::optional<std::int64_t> optional_i64(int column) const;
  std::optional<std::uint64_t> optional_u64(int column) const;
  std::optional<std::string> optional_text(int column) const;
  // nullopt as well for a value that is not 32 bytes long.
  std::optional<Digest> digest(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// Reads inside one snapshot. Handed to work on the reader thread (or the writer thread, as the base of
// Writer); never kept past the call. Statements are prepared once and cached by their SQL text, so
// text is a literal or one of a small fixed set: values are always bound, never pasted in.
class Reader {
 public:
  explicit Reader(Connection& connection) : connection_(connection) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Calls `row` for each row until it returns false.
  Result<void> each(std::string_view sql, Values values, const std::function<bool(const Row&)>& row);

  // All rows, each made into a T by `read`. The SQL carries a LIMIT.
  template <class Read>
  auto all(std::string_view sql, Values values, Read read)
      -> Result<std::vector<decltype(read(std::declval<const Row&>()))>> {
    std::vector<decltype(read(std::declval<const Row&>()))> items;
    auto done = each(sql, values, [&](const Row& row) {
      items.push_back(read(row));
      return true;
    });
    if (!done) return fail(std::move(done).error());
    return items;
  }

  // The first row, or nullopt where there is none. Steps to the end all the same, as INSERT ... RETURNING
  // wants it; a query that may find more carries LIMIT 1.
  template <class Read>
  auto one(std::string_view sql, Values values, Read read)
      -> Result<std::optional<decltype(read(std::declval<const Row&>()))>> {
    std::optional<decltype(read(std::declval<const Row&>()))> item;
    auto done = each(sql, values, [&](const Row& row) {
      if (!item) item.emplace(read(row));
      return true;
    });
    if (!done) return fail(std::move(done).error());
    return item;
  }

 protected:
  Connection& connection_;
};

// Reads and writes inside the savepoint of one request. Writer thread only.
class Writer : public Reader {
 public:
  using Reader::Reader;

  // Runs one statement to its end.
  Result<void> run(std::string_view sql, Values values);
  // The same; returns the number of rows it inserted, updated or deleted.
  Result<std::int64_t> run_counted(std::string_view sql, Values values);
  // Runs an INSERT or UPDATE that ends in RETURNING one number, and returns that; 0 if no row was touched.
  Result<std::int64_t> returning(std::string_view sql, Values values);
};

}  // namespace otagate::state
