#include "state/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>

#include <system_error>

#include "core/fd.hpp"
#include "core/log.hpp"
#include "state/connection.hpp"
#include "state/files.hpp"
#include "state/inspection.hpp"
#include "state/maintenance.hpp"
#include "state/migrations.hpp"
#include "state/reader_thread.hpp"
#include "state/run_marks.hpp"
#include "state/writer_thread.hpp"

namespace otagate::state {

struct Database::Impl {
  std::filesystem::path path;
  Options options;
  UniqueFd lock;  // released last
  bool created = false;
  LastRun last_run;
  // The reader goes first, so that no snapshot of it keeps the writer from its last checkpoint.
  std::unique_ptr<WriterThread> writer;
  std::unique_ptr<ReaderThread> reader;
};

namespace {

using Refusal = tl::unexpected<OpenError>;

Refusal refuse(int exit_code, Code code, std::string message) {
  return Refusal(OpenError{exit_code, Error(code, std::move(message))});
}

Refusal refuse(const std::filesystem::path& path, const Error& error) {
  if (error.code() == Code::permanent)
    return refuse(kExitStateCorrupt, Code::permanent, damaged_message(path, error.message()));
  return Refusal(OpenError{kExitStateUnusable, error});
}

// Decides whether the file may be opened, from a connection that cannot change it.
tl::expected<Inspection, OpenError> admit(const std::filesystem::path& path, const Options& options) {
  const std::uint64_t log_bytes = size_or_zero(beside(path, "-wal"));
  if (size_or_zero(beside(path, kRestoring)) != 0)
    return refuse(kExitStateCorrupt, Code::permanent,
                  path.string() + ": a restore was interrupted; run `otagate state restore BACKUP` again");
  if (size_or_zero(path) == 0) {
    // SQLite would delete the log of a file that is not there.
    if (log_bytes != 0)
      return refuse(kExitStateCorrupt, Code::permanent,
                    damaged_message(path, "it is missing or empty, but its write-ahead log is there"));
    Inspection nothing;
    nothing.empty = true;
    return nothing;
  }

  auto connection = Connection::open(path, Connection::Mode::read_only);
  if (!connection) return refuse(path, connection.error());
  auto found = inspect(**connection, options.boot_id);
  if (!found) return refuse(path, found.error());
  if (found->empty) return *found;
  if (!found->ours)
    return refuse(kExitStateCorrupt, Code::permanent,
                  path.string() +
                      " is not a state database of otagate and was left as it is: set another path, or "
                      "move the file away");
  if (found->schema_version > latest_version())
    return refuse(kExitStateNewer, Code::unsupported, newer_schema_message(path, found->schema_version));

  if (!found->last_run.clean || size_or_zero(path) + log_bytes <= options.always_check_bytes) {
    auto problems = run_check(**connection, "quick_check");
    if (!problems) return refuse(path, problems.error());
    if (!problems->empty())
      return refuse(kExitStateCorrupt, Code::permanent, damaged_message(path, problems->front()));
  }
  return *found;
}

Result<std::unique_ptr<Connection>> open_writing(const std::filesystem::path& path) {
  auto connection = Connection::open(path, Connection::Mode::create);
  if (!connection) return connection;
  // The mode first: it decides what the rest means. cell_size_check finds a damaged page when it is read.
  const Result<std::string> mode = (*connection)->text("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  if (*mode != "wal")
    return fail(
        Code::unsupported,
        path.string() + ": its file system does not take a write-ahead log; keep the state on a local disk");
  if (auto set = (*connection)
                     ->script("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                              "PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;");
      !set)
    return fail(std::move(set).error());
  return connection;
}

// A new file is ours alone; SQLite gives the log and its index the same mode.
Result<void> create_file(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error("create " + path.string(), errno));
  return sync_path(path.parent_path());
}

}  // namespace

tl::expected<std::unique_ptr<Database>, OpenError> Database::open(const std::filesystem::path& file,
                                                                  Options options) {
  auto impl = std::make_unique<Impl>();
  impl->path = std::filesystem::absolute(file);
  if (options.boot_id.empty()) options.boot_id = kernel_boot_id();
  impl->options = options;
  const std::filesystem::path& path = impl->path;

  auto lock = lock_database(path);
  if (!lock) {
    const bool in_use = lock.error().code() == Code::busy;
    return Refusal(OpenError{in_use ? kExitStateInUse : kExitStateUnusable, lock.error()});
  }
  impl->lock = std::move(*lock);
  std::error_code ignored;
  std::filesystem::remove(beside(path, kRestoreCopy), ignored);

  auto found = admit(path, options);
  if (!found) return Refusal(found.error());
  impl->created = found->empty;
  impl->last_run = found->last_run;
  if (found->empty)
    if (auto created = create_file(path); !created) return refuse(path, created.error());

  auto writing = open_writing(path);
  if (!writing) return refuse(path, writing.error());
  if (auto migrated = migrate(**writing); !migrated) return refuse(path, migrated.error());
  if (auto marked = mark_running(**writing, options.boot_id); !marked) return refuse(path, marked.error());
  auto reading = Connection::open(path, Connection::Mode::read_only);
  if (!reading) return refuse(path, reading.error());

  impl->writer = std::make_unique<WriterThread>(std::move(*writing), options);
  impl->reader = std::make_unique<ReaderThread>(std::move(*reading), options);
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() = default;

void Database::write(Write work, Done done) {
  impl_->writer->post({.work = std::move(work), .outside = {}, .done = std::move(done)});
}

void Database::read(Read work, Done done) { impl_->reader->post({std::move(work), std::move(done)}); }

Stats Database::stats() const {
  Stats stats;
  impl_->writer->add_to(stats);
  impl_->reader->add_to(stats);
  return stats;
}

LastRun Database::last_run() const { return impl_->last_run; }

bool Database::created() const { return impl_->created; }

const std::filesystem::path& Database::path() const { return impl_->path; }

Result<void> Database::restore(const std::filesystem::path& from) {
  // A private copy, brought to our schema: what goes live has been checked, and `from` is not changed.
  const std::filesystem::path copy = beside(impl_->path, kRestoreCopy);
  if (auto made = make_restorable_copy(from, copy); !made) return made;
  if (auto kept = backup_file(impl_->path, beside(impl_->path, ".before-restore")); !kept)
    return fail(std::move(kept).error().with_context("keeping the present state"));

  const auto replace = [&](Connection& live) -> Result<void> {
    auto source = Connection::open(copy, Connection::Mode::read_only);
    if (!source) return fail(std::move(source).error());
    // Through the log like any transaction: readers keep their snapshot, a crash leaves one or the other.
    sqlite3_backup* backup = sqlite3_backup_init(live.handle(), "main", (*source)->handle(), "main");
    if (backup == nullptr) return fail(live.error(sqlite3_errcode(live.handle()), "restore"));
    const int result = sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    if (result != SQLITE_DONE) return fail(live.error(result, "restore"));
    return mark_running(live, impl_->options.boot_id);
  };
  auto promise = std::make_shared<std::promise<Result<void>>>();
  impl_->writer->post({.work = {}, .outside = replace, .done = [promise](Result<void> outcome) {
                         promise->set_value(std::move(outcome));
                       }});
  Result<void> outcome = promise->get_future().get();
  std::error_code ignored;
  std::filesystem::remove(copy, ignored);
  return outcome;
}

}  // namespace otagate::state
