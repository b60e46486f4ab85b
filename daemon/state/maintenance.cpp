#include "state/maintenance.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/fd.hpp"
#include "state/connection.hpp"
#include "state/files.hpp"
#include "state/inspection.hpp"
#include "state/migrations.hpp"

namespace otagate::state {

namespace {

Result<void> check_sound(const std::filesystem::path& path) {
  auto report = check_file(path);
  if (!report) return fail(std::move(report).error());
  if (report->problems.empty()) return {};
  return fail(Code::permanent, path.string() + " is damaged: " + report->problems.front());
}

// A consistent copy through SQLite, which sees what is still in the log; not yet synced.
Result<void> copy_database(const std::filesystem::path& from, const std::filesystem::path& to) {
  auto source = Connection::open(from, Connection::Mode::read_only);
  if (!source) return fail(std::move(source).error());
  // SQLite writes into a new or an empty file; made here, it is ours alone from its first byte.
  const UniqueFd fd(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error("create " + to.string(), errno));
  auto done = (*source)->run("VACUUM INTO ?", {to.string()});
  if (!done) return fail(std::move(done).error().with_context("writing " + to.string()));
  return {};
}

// Moves what is at `path` aside under a free name; nothing there is no error.
Result<void> keep_aside(const std::filesystem::path& path, const std::filesystem::path& aside) {
  if (::link(path.c_str(), aside.c_str()) == 0 || errno == ENOENT) return {};
  return fail(errno_error("keep " + path.string() + " as " + aside.string(), errno));
}

std::filesystem::path free_name(const std::filesystem::path& path) {
  std::error_code ignored;
  for (int number = 1;; ++number) {
    std::filesystem::path name = beside(path, ".replaced-" + std::to_string(number));
    if (!std::filesystem::exists(name, ignored) && !std::filesystem::exists(beside(name, "-wal"), ignored))
      return name;
  }
}

}  // namespace

Result<CheckReport> check_file(const std::filesystem::path& path) {
  auto connection = Connection::open(path, Connection::Mode::read_only);
  if (!connection) return fail(std::move(connection).error());
  auto found = inspect(**connection, "");
  if (!found) return fail(std::move(found).error());
  if (!found->ours) return fail(Code::invalid, path.string() + " is not a state database of otagate");
  if (found->schema_version > latest_version())
    return fail(Code::unsupported, newer_schema_message(path, found->schema_version));

  CheckReport report;
  report.schema_version = found->schema_version;
  auto problems = run_check(**connection, "integrity_check");
  if (!problems && problems.error().code() != Code::permanent) return fail(std::move(problems).error());
  report.problems = problems ? std::move(*problems) : std::vector<std::string>{problems.error().message()};
  if (!report.problems.empty()) return report;

  Reader reader(**connection);
  auto orphans = reader.all(
      "SELECT \"table\", \"rowid\", parent FROM pragma_foreign_key_check LIMIT 100", {}, [](const Row& row) {
        return "row " + row.text(1) + " of " + row.text(0) + " refers to no row of " + row.text(2);
      });
  if (!orphans) return fail(std::move(orphans).error());
  report.problems = std::move(*orphans);
  return report;
}

Result<void> backup_file(const std::filesystem::path& path, const std::filesystem::path& to) {
  const std::filesystem::path target = std::filesystem::absolute(to);
  const std::filesystem::path part = beside(target, ".part");
  if (auto copied = copy_database(path, part); !copied) return copied;
  if (auto sound = check_sound(part); !sound) return sound;
  if (auto synced = sync_path(part); !synced) return synced;
  return rename_durably(part, target);
}

Result<void> make_restorable_copy(const std::filesystem::path& from, const std::filesystem::path& copy) {
  if (auto sound = check_sound(from); !sound) return sound;
  if (auto copied = copy_database(from, copy); !copied) return copied;
  {
    auto connection = Connection::open(copy, Connection::Mode::read_write);
    if (!connection) return fail(std::move(connection).error());
    if (auto migrated = migrate(**connection); !migrated) return migrated;
  }
  return sync_path(copy);
}

Result<void> restore_file(const std::filesystem::path& file, const std::filesystem::path& from) {
  const std::filesystem::path path = std::filesystem::absolute(file);
  auto lock = lock_database(path);
  if (!lock) return fail(std::move(lock).error());
  const std::filesystem::path copy = beside(path, kRestoreCopy);
  const std::filesystem::path ready = beside(path, kRestoring);
  if (auto made = make_restorable_copy(from, copy); !made) return made;

  const std::filesystem::path aside = free_name(path);
  for (const std::string_view suffix : {"", "-wal"})
    if (auto kept = keep_aside(beside(path, suffix), beside(aside, suffix)); !kept) return kept;

  // From here to the last rename the database is neither the old nor the new one: `ready` tells open(),
  // which refuses until a restore has come to its end. The old log must not meet the new file.
  if (auto marked = rename_durably(copy, ready); !marked) return marked;
  std::error_code ignored;
  std::filesystem::remove(beside(path, "-wal"), ignored);
  std::filesystem::remove(beside(path, "-shm"), ignored);
  if (auto synced = sync_path(path.parent_path()); !synced) return synced;
  return rename_durably(ready, path);
}

}  // namespace otagate::state
