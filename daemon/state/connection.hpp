// One SQLite connection with its statement cache. Used by one thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/error.hpp"
#include "state/query.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace otagate::state {

class Connection;

// A prepared statement borrowed from its connection's cache; goes back, reset, on destruction.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // The values must live until the statement is gone.
  Result<void> bind(Values values);
  // True: there is a row; false: done.
  Result<bool> step();
  Row row() const { return Row(statement_); }

 private:
  friend class Connection;
  Statement(Connection& connection, sqlite3_stmt* statement, bool* in_use)
      : connection_(&connection), statement_(statement), in_use_(in_use) {}

  Connection* connection_;
  sqlite3_stmt* statement_;
  bool* in_use_;  // of its cache entry; null: not cached, finalised on destruction
};

class Connection {
 public:
  enum class Mode { read_only, read_write, create };

  // Opens without touching the file; nothing is read before the first statement.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<Statement> prepare(std::string_view sql);
  // Prepares, binds and steps to the end.
  Result<void> run(std::string_view sql, Values values = {});
  // Any number of statements without parameters, not cached: pragmas, migrations.
  Result<void> script(std::string_view sql);
  // First column of the first row; 0 without one.
  Result<std::int64_t> number(std::string_view sql);
  Result<std::string> text(std::string_view sql);

  // Statements that run past it end with Code::deadline. nullopt: none.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline);
  bool past_deadline() const;

  // False inside a transaction; SQLite leaves one by itself on a full disk or an I/O error.
  bool autocommit() const;
  std::int64_t changes() const;
  sqlite3* handle() { return db_; }

  // The result code of the last failed call as an Error: what failed, why, what to do.
  Error error(int result, std::string_view what);
  // Set for good once SQLite has reported a damaged file. Any thread.
  bool damaged() const { return damaged_; }

 private:
  explicit Connection(std::filesystem::path path) : path_(std::move(path)) {}

  struct Cached {
    sqlite3_stmt* statement;
    bool in_use;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::filesystem::path path_;
  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, Cached, Hash, std::equal_to<>> cache_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::atomic<bool> damaged_ = false;
};

}  // namespace otagate::state
