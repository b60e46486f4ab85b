// The thread that owns the writing connection: group commit and checkpoints.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "state/connection.hpp"
#include "state/database.hpp"
#include "state/work_queue.hpp"

namespace otagate::state {

class WriterThread {
 public:
  struct Request {
    Database::Write work;                              // inside a savepoint of the group's transaction
    std::function<Result<void>(Connection&)> outside;  // instead of work: outside any transaction
    Database::Done done;
  };

  WriterThread(std::unique_ptr<Connection> connection, const Options& options);
  // Completes what is queued, marks the run as clean, checkpoints and closes.
  ~WriterThread();

  void post(Request request);       // any thread
  void add_to(Stats& stats) const;  // any thread

 private:
  void loop();
  void commit(std::vector<Request>& batch);
  Result<void> in_savepoint(const Database::Write& work);
  void finish(const Request& request, Result<void> outcome);
  std::optional<std::chrono::steady_clock::time_point> idle_until() const;
  void checkpoint(int mode);
  void close();

  const Options options_;
  std::unique_ptr<Connection> connection_;  // writer thread, once it runs
  WorkQueue<Request> queue_;

  // Writer thread only. The log holds wal_bytes_ in frames; dirty_: not all of them are in the database.
  bool dirty_ = false;
  std::uint64_t checkpoint_at_;  // log size
  std::chrono::steady_clock::time_point last_commit_;

  // Written by the writer thread (write_errors_ by any), read by any.
  std::atomic<std::uint64_t> writes_ = 0;
  std::atomic<std::uint64_t> write_errors_ = 0;
  std::atomic<std::uint64_t> commits_ = 0;
  std::atomic<std::uint64_t> checkpoints_ = 0;
  std::atomic<std::uint64_t> wal_bytes_ = 0;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace otagate::state
