// The event loop of the admin API, shared with whoever may still answer when the server has gone.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "api/metrics.hpp"

namespace boost::asio {
class io_context;
}

namespace otagate::api {

// One thread runs it. Whoever holds it may post for as long as it likes: what comes after close() is
// dropped, and its captures are destroyed by the poster. Sessions and late replies keep the loop alive,
// because sockets and timers must not outlive it.
class Loop {
 public:
  Loop();
  ~Loop();

  boost::asio::io_context& io() { return *io_; }
  ServerCounters& counters() { return counters_; }

  // Runs `work` on the loop's thread; drops it once the loop is closed. Any thread.
  void post(std::function<void()> work);

  // After the thread has ended: nothing more comes in, and what came in meanwhile is run here, so that no
  // session is held by a loop that it holds itself.
  void close();

 private:
  const std::unique_ptr<boost::asio::io_context> io_;
  ServerCounters counters_;
  std::mutex mutex_;
  bool closed_ = false;  // under mutex_
};

}  // namespace otagate::api
