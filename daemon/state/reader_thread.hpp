// The thread that owns the read-only connection.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "state/connection.hpp"
#include "state/database.hpp"
#include "state/work_queue.hpp"

namespace otagate::state {

class ReaderThread {
 public:
  struct Request {
    Database::Read work;
    Database::Done done;
  };

  ReaderThread(std::unique_ptr<Connection> connection, const Options& options);
  // Completes what is queued and closes.
  ~ReaderThread();

  void post(Request request);       // any thread
  void add_to(Stats& stats) const;  // any thread

 private:
  void loop();
  Result<void> in_snapshot(const Database::Read& work);
  void finish(const Request& request, Result<void> outcome);

  const Options options_;
  std::unique_ptr<Connection> connection_;  // reader thread, once it runs
  WorkQueue<Request> queue_;

  // Written by the reader thread (read_errors_ by any), read by any.
  std::atomic<std::uint64_t> reads_ = 0;
  std::atomic<std::uint64_t> read_errors_ = 0;
  std::atomic<std::uint64_t> read_deadlines_ = 0;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace otagate::state
