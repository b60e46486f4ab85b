// The state database: one SQLite file, one thread that writes, one that reads.
//
// - The writer thread owns the only writing connection and all checkpoints. What has queued up while it
//   was committing becomes one transaction (group commit); each request has a savepoint of its own, so
//   one that fails takes no other with it. A request is acknowledged when its commit has been synced
//   (WAL, synchronous=FULL): what was acknowledged survives kill -9 and power loss.
// - The reader thread owns a read-only connection. Each read is one snapshot and lasts at most
//   Options::read_limit; a longer one ends with Code::deadline.
// - No other thread calls SQLite; callers queue work and are called back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "core/error.hpp"
#include "state/open.hpp"
#include "state/query.hpp"

namespace otagate::state {

struct Options {
  std::size_t write_queue = 8192;  // requests waiting; one more gets Code::busy
  std::size_t read_queue = 1024;
  std::size_t group = 1024;  // requests in one transaction at most
  std::chrono::milliseconds read_limit{100};
  // Checkpoint policy: a PASSIVE one after `idle` without a request once the WAL holds
  // idle_checkpoint_bytes, and after thirty times `idle` whatever it holds; above wal_limit_bytes even
  // under load. The file is used again from its start and keeps its size, up to that limit.
  std::chrono::milliseconds idle{1000};
  std::uint64_t idle_checkpoint_bytes = 1 << 20;
  std::uint64_t wal_limit_bytes = 16 << 20;
  // open() runs quick_check on files up to this size, and on any size after an unclean stop.
  std::uint64_t always_check_bytes = 32 << 20;
  // Empty: the kernel's boot id.
  std::string boot_id{};
};

struct Stats {
  std::size_t write_queue = 0;  // requests waiting now
  std::size_t read_queue = 0;
  std::uint64_t writes = 0;        // requests acknowledged
  std::uint64_t write_errors = 0;  // requests that failed, `busy` included
  std::uint64_t commits = 0;       // transactions: writes / commits is the group size
  std::uint64_t reads = 0;
  std::uint64_t read_errors = 0;
  std::uint64_t read_deadlines = 0;  // of read_errors, those over read_limit
  std::uint64_t checkpoints = 0;
  std::uint64_t wal_bytes = 0;
  bool corrupt = false;  // SQLite has reported damage since open(): status is degraded
};

// How the previous run of the daemon ended, as found by open().
struct LastRun {
  bool clean = false;      // its Database was destroyed in order, with everything on disk
  bool same_boot = false;  // the machine has not been restarted since: what was in the page cache still is
};

class Database {
 public:
  using Write = std::function<Result<void>(Writer&)>;
  using Read = std::function<Result<void>(Reader&)>;
  using Done = std::function<void(Result<void>)>;

  // Opens or creates the file, takes the lock file beside it, checks, migrates, starts both threads.
  // Blocks: call at start-up. A damaged, foreign or newer file is refused and left untouched.
  static tl::expected<std::unique_ptr<Database>, OpenError> open(const std::filesystem::path& path,
                                                                 Options options = {});

  // Finishes every queued request (each `done` is called), marks the run as clean, checkpoints, closes.
  // Not from the writer or the reader thread.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Queues `work` for the writer thread. `done` is called exactly once: on the writer thread when the
  // commit is durable or the request has failed; or at once on the caller's thread, with Code::busy when
  // the queue is full and Code::cancelled when the database is closing. Without `done` an error is
  // logged. Requests run and complete in the order they were queued. Neither function may block or
  // call a *_sync function. Any thread.
  void write(Write work, Done done = {});

  // The same for the reader thread; what has been acknowledged before is seen.
  void read(Read work, Done done);

  // Waiting forms for work that returns Result<T>: any thread but the two of this class, and no I/O
  // thread. `work` may capture by reference.
  //   Result<StoreId> id = db.write_sync([&](Writer& w) { return upsert(w, ...); });
  template <class Work>
  auto write_sync(Work work) {
    return wait<std::invoke_result_t<Work&, Writer&>, Writer>(
        work, [this](Write w, Done d) { write(std::move(w), std::move(d)); });
  }
  template <class Work>
  auto read_sync(Work work) {
    return wait<std::invoke_result_t<Work&, Reader&>, Reader>(
        work, [this](Read w, Done d) { read(std::move(w), std::move(d)); });
  }

  Stats stats() const;       // any thread
  LastRun last_run() const;  // any thread
  bool created() const;      // open() found no database: the cache adopts what is on disk
  const std::filesystem::path& path() const;

  // Replaces everything in this live database by the backup at `from`, as one transaction: afterwards
  // all of the backup is there, or nothing has changed. An older backup is migrated first. Keeps the
  // previous content in "<path>.before-restore". The caller then reads its own memory afresh or restarts.
  // Blocks for seconds: a worker thread.
  Result<void> restore(const std::filesystem::path& from);

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);

  template <class R, class Access, class Work, class Post>
  static R wait(Work& work, Post post) {
    using T = typename R::value_type;
    // Shared: the waiter may wake and leave while set_value is still returning.
    auto promise = std::make_shared<std::promise<Result<void>>>();
    std::optional<R> value;
    post(
        [&](Access& access) -> Result<void> {
          value.emplace(work(access));
          if (!*value) return fail(value->error());
          return {};
        },
        [promise](Result<void> outcome) { promise->set_value(std::move(outcome)); });
    Result<void> outcome = promise->get_future().get();
    if (!outcome) return fail(std::move(outcome).error());
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*value);
  }

  std::unique_ptr<Impl> impl_;
};

}  // namespace otagate::state
