#include "state/writer_thread.hpp"

#include <pthread.h>
#include <sqlite3.h>

#include <optional>

#include "core/log.hpp"
#include "state/run_marks.hpp"

namespace otagate::state {

namespace {
constexpr std::uint64_t kFrameBytes = 4096 + 24;  // page and its header in the write-ahead log
constexpr int kPatienceFactor = 30;               // idle times until even a small log is checkpointed
}  // namespace

WriterThread::WriterThread(std::unique_ptr<Connection> connection, const Options& options)
    : options_(options),
      connection_(std::move(connection)),
      queue_(options.write_queue),
      checkpoint_at_(options.wal_limit_bytes) {
  // Takes the place of SQLite's own checkpoint after every 1000 pages.
  sqlite3_wal_hook(
      connection_->handle(),
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<WriterThread*>(self)->wal_bytes_ = static_cast<std::uint64_t>(frames) * kFrameBytes;
        return SQLITE_OK;
      },
      this);
  // A log that has grown beyond it, because of a reader, is cut when it is begun anew.
  (void)connection_->script("PRAGMA journal_size_limit = " + std::to_string(options_.wal_limit_bytes));
  thread_ = std::thread([this] { loop(); });
  pthread_setname_np(thread_.native_handle(), "state-write");
}

WriterThread::~WriterThread() {
  queue_.close();
  thread_.join();
}

void WriterThread::post(Request request) {
  switch (queue_.push(request)) {
    case WorkQueue<Request>::Push::accepted: return;
    case WorkQueue<Request>::Push::full:
      return finish(request, fail(Code::busy, "the state's write queue is full; try again"));
    case WorkQueue<Request>::Push::closed:
      return finish(request, fail(Code::cancelled, "the state is being closed"));
  }
}

void WriterThread::add_to(Stats& stats) const {
  stats.write_queue = queue_.size();
  stats.writes = writes_;
  stats.write_errors = write_errors_;
  stats.commits = commits_;
  stats.checkpoints = checkpoints_;
  stats.wal_bytes = wal_bytes_;
  stats.corrupt = stats.corrupt || connection_->damaged();
}

void WriterThread::loop() {
  std::vector<Request> batch;
  while (queue_.take(batch, options_.group, idle_until())) {
    if (batch.empty()) {
      checkpoint(SQLITE_CHECKPOINT_PASSIVE);
      continue;
    }
    commit(batch);
    batch.clear();
    if (wal_bytes_ < options_.wal_limit_bytes) checkpoint_at_ = options_.wal_limit_bytes;
    if (wal_bytes_ > checkpoint_at_) checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  }
  close();
}

std::optional<std::chrono::steady_clock::time_point> WriterThread::idle_until() const {
  if (!dirty_) return std::nullopt;
  const bool worth_it = wal_bytes_ >= options_.idle_checkpoint_bytes;
  return last_commit_ + options_.idle * (worth_it ? 1 : kPatienceFactor);
}

// One transaction for the batch. SQLite rolls all of it back by itself when the disk is full or broken:
// then nothing of it has been acknowledged yet, all of it fails, and the rest starts a new one.
void WriterThread::commit(std::vector<Request>& batch) {
  std::vector<Result<void>> outcomes(batch.size());
  std::optional<std::size_t> first;  // of the open transaction
  const auto lose = [&](std::size_t end, const Error& error) {
    for (std::size_t i = *first; i < end; ++i)
      if (outcomes[i]) outcomes[i] = fail(error);
    first.reset();
  };
  const auto commit_open = [&](std::size_t end) {
    if (!first) return;
    if (auto committed = connection_->run("COMMIT"); !committed) {
      if (!connection_->autocommit()) (void)connection_->run("ROLLBACK");
      return lose(end, committed.error().with_context("commit"));
    }
    first.reset();
    ++commits_;
    dirty_ = true;
    last_commit_ = std::chrono::steady_clock::now();
  };

  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].outside) {
      commit_open(i);
      outcomes[i] = batch[i].outside(*connection_);
      continue;
    }
    if (!first) {
      outcomes[i] = connection_->run("BEGIN IMMEDIATE");
      if (!outcomes[i]) continue;
      first = i;
    }
    outcomes[i] = in_savepoint(batch[i].work);
    if (connection_->autocommit())
      lose(i + 1,
           outcomes[i] ? Error(Code::transient, "SQLite rolled the transaction back") : outcomes[i].error());
  }
  commit_open(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) finish(batch[i], std::move(outcomes[i]));
}

Result<void> WriterThread::in_savepoint(const Database::Write& work) {
  if (auto begun = connection_->run("SAVEPOINT request"); !begun) return begun;
  Writer writer(*connection_);
  Result<void> outcome = work(writer);
  if (connection_->autocommit()) return outcome;
  auto closed = outcome ? Result<void>() : connection_->run("ROLLBACK TO request");
  if (closed) closed = connection_->run("RELEASE request");
  if (!closed) {
    // Half a request, or one reported as failed, must not be committed with the others.
    (void)connection_->run("ROLLBACK");
    if (outcome) outcome = std::move(closed);
  }
  return outcome;
}

void WriterThread::finish(const Request& request, Result<void> outcome) {
  ++(outcome ? writes_ : write_errors_);
  if (request.done) return request.done(std::move(outcome));
  if (!outcome) log("state").error("a write was lost: {}", outcome.error().message());
}

// PASSIVE waits for nobody: with TRUNCATE every writer had stood still for a second, SQLite's patience with a
// busy reader, whenever the log passed its limit during a backup. Instead the next transaction begins the log
// anew by itself, in the space it has; where a reader keeps an old snapshot the log goes on growing until
// that one is through.
void WriterThread::checkpoint(int mode) {
  int in_log = 0;
  int moved = 0;
  const int result = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr, mode, &in_log, &moved);
  ++checkpoints_;
  if (result == SQLITE_OK) {
    dirty_ = moved < in_log;
    if (mode == SQLITE_CHECKPOINT_TRUNCATE) wal_bytes_ = 0;
  } else if (result != SQLITE_BUSY) {
    log("state").warn("{}", connection_->error(result, "checkpoint").with_context("checkpoint").message());
  }
  // A reader (a backup) may keep the log from being begun anew, and the disk may be full: not again for
  // every commit.
  checkpoint_at_ = wal_bytes_ + options_.wal_limit_bytes / 4;
  last_commit_ = std::chrono::steady_clock::now();
}

void WriterThread::close() {
  if (auto marked = mark_clean(*connection_); !marked)
    log("state").error("closing: {}", marked.error().message());
  checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  connection_.reset();
}

}  // namespace otagate::state
