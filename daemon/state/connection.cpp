#include "state/connection.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <type_traits>

namespace otagate::state {

namespace {

// The SQL texts of the module number well below this; what is beyond is prepared each time.
constexpr std::size_t kCachedStatements = 128;
// Virtual machine steps between two looks at the clock: some tens of microseconds.
constexpr int kStepsPerCheck = 1000;

int bind_one(sqlite3_stmt* statement, int index, const Value& value) {
  return std::visit(
      [&](const auto& data) {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return sqlite3_bind_null(statement, index);
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          return sqlite3_bind_int64(statement, index, data);
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          // A null pointer would bind NULL where empty text is meant.
          return sqlite3_bind_text64(statement, index, data.data() == nullptr ? "" : data.data(), data.size(),
                                     SQLITE_STATIC, SQLITE_UTF8);
        } else {
          if (data.empty()) return sqlite3_bind_zeroblob(statement, index, 0);
          return sqlite3_bind_blob64(statement, index, data.data(), data.size(), SQLITE_STATIC);
        }
      },
      value.data());
}

Code class_of(int result, int system_error) {
  if (system_error == ENOSPC || system_error == EDQUOT) return Code::no_space;
  switch (result & 0xff) {
    case SQLITE_FULL: return Code::no_space;
    case SQLITE_IOERR: return Code::transient;
    case SQLITE_INTERRUPT: return Code::deadline;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::permanent;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return Code::denied;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH: return Code::invalid;
    default: return Code::internal;
  }
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      in_use_(std::exchange(other.in_use_, nullptr)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  if (in_use_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  *in_use_ = false;
}

Result<void> Statement::bind(Values values) {
  assert(sqlite3_bind_parameter_count(statement_) == static_cast<int>(values.size()));
  int index = 0;
  for (const Value& value : values) {
    const int result = bind_one(statement_, ++index, value);
    if (result != SQLITE_OK) return fail(connection_->error(result, sqlite3_sql(statement_)));
  }
  return {};
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return fail(connection_->error(result, sqlite3_sql(statement_)));
}

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& path, Mode mode) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::read_only) flags |= SQLITE_OPEN_READONLY;
  if (mode == Mode::read_write) flags |= SQLITE_OPEN_READWRITE;
  if (mode == Mode::create) flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

  std::unique_ptr<Connection> connection(new Connection(path));
  const int result = sqlite3_open_v2(path.c_str(), &connection->db_, flags, nullptr);
  if (result != SQLITE_OK) return fail(connection->error(result, "open"));

  // Defence against a file that somebody else has prepared: no functions from the schema, no writes to it.
  sqlite3_db_config(connection->db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection->db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_busy_timeout(connection->db_, 1000);
  sqlite3_progress_handler(
      connection->db_, kStepsPerCheck,
      [](void* self) { return static_cast<int>(static_cast<Connection*>(self)->past_deadline()); },
      connection.get());
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, cached] : cache_) {
    assert(!cached.in_use);
    sqlite3_finalize(cached.statement);
  }
  sqlite3_close(db_);
}

Result<Statement> Connection::prepare(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found != cache_.end() && !found->second.in_use) {
    found->second.in_use = true;
    return Statement(*this, found->second.statement, &found->second.in_use);
  }
  const bool keep = found == cache_.end() && cache_.size() < kCachedStatements;
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                        keep ? SQLITE_PREPARE_PERSISTENT : 0, &statement, nullptr);
  if (result != SQLITE_OK) return fail(error(result, sql));
  if (!keep) return Statement(*this, statement, nullptr);
  Cached& cached = cache_.emplace(sql, Cached{statement, true}).first->second;
  return Statement(*this, statement, &cached.in_use);
}

Result<void> Connection::run(std::string_view sql, Values values) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement).error());
  if (auto bound = statement->bind(values); !bound) return bound;
  while (true) {
    const Result<bool> more = statement->step();
    if (!more) return fail(more.error());
    if (!*more) return {};
  }
}

Result<void> Connection::script(std::string_view sql) {
  const int result = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return fail(error(result, "script"));
  return {};
}

Result<std::int64_t> Connection::number(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement).error());
  const Result<bool> row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->row().i64(0) : 0;
}

Result<std::string> Connection::text(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement).error());
  const Result<bool> row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->row().text(0) : std::string();
}

void Connection::set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) {
  deadline_ = deadline;
}

bool Connection::past_deadline() const { return deadline_ && std::chrono::steady_clock::now() >= *deadline_; }

bool Connection::autocommit() const { return sqlite3_get_autocommit(db_) != 0; }

std::int64_t Connection::changes() const { return sqlite3_changes64(db_); }

Error Connection::error(int result, std::string_view what) {
  const int primary = result & 0xff;
  // The last system error stays set after later calls: it explains I/O errors only.
  const bool io = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
  const Code code = class_of(result, io && db_ != nullptr ? sqlite3_system_errno(db_) : 0);
  std::string text = path_.string() + ": " + (db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(result));
  switch (code) {
    case Code::permanent:
      damaged_ = true;
      text += "; run `otagate state check`, then `otagate state restore BACKUP` if it reports damage";
      break;
    case Code::no_space: text += "; free space on its file system"; break;
    case Code::deadline: text = path_.string() + ": the read took too long; ask for a smaller page"; break;
    case Code::internal:
    case Code::invalid: text += " in: " + std::string(what.substr(0, 200)); break;
    default: break;
  }
  return {code, std::move(text)};
}

}  // namespace otagate::state
