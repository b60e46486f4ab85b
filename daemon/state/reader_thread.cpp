#include "state/reader_thread.hpp"

#include <pthread.h>

#include <vector>

namespace otagate::state {

ReaderThread::ReaderThread(std::unique_ptr<Connection> connection, const Options& options)
    : options_(options), connection_(std::move(connection)), queue_(options.read_queue) {
  thread_ = std::thread([this] { loop(); });
  pthread_setname_np(thread_.native_handle(), "state-read");
}

ReaderThread::~ReaderThread() {
  queue_.close();
  thread_.join();
}

void ReaderThread::post(Request request) {
  switch (queue_.push(request)) {
    case WorkQueue<Request>::Push::accepted: return;
    case WorkQueue<Request>::Push::full:
      return finish(request, fail(Code::busy, "the state's read queue is full; try again"));
    case WorkQueue<Request>::Push::closed:
      return finish(request, fail(Code::cancelled, "the state is being closed"));
  }
}

void ReaderThread::add_to(Stats& stats) const {
  stats.read_queue = queue_.size();
  stats.reads = reads_;
  stats.read_errors = read_errors_;
  stats.read_deadlines = read_deadlines_;
  stats.corrupt = stats.corrupt || connection_->damaged();
}

void ReaderThread::loop() {
  std::vector<Request> batch;
  while (queue_.take(batch, 64, std::nullopt)) {
    // The queued wait, the running do not: each has its own snapshot and its own time.
    for (Request& request : batch) finish(request, in_snapshot(request.work));
    batch.clear();
  }
  connection_.reset();
}

Result<void> ReaderThread::in_snapshot(const Database::Read& work) {
  if (auto begun = connection_->run("BEGIN"); !begun) return begun;
  connection_->set_deadline(std::chrono::steady_clock::now() + options_.read_limit);
  Reader reader(*connection_);
  Result<void> outcome = work(reader);
  connection_->set_deadline(std::nullopt);
  // Nothing was written: there is nothing that could be lost here.
  if (!connection_->autocommit()) (void)connection_->run("ROLLBACK");
  return outcome;
}

void ReaderThread::finish(const Request& request, Result<void> outcome) {
  ++(outcome ? reads_ : read_errors_);
  if (!outcome && outcome.error().code() == Code::deadline) ++read_deadlines_;
  request.done(std::move(outcome));
}

}  // namespace otagate::state
