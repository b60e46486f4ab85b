// One thread's event loop: readiness of descriptors, work from other threads, a coarse tick.
//
// It is epoll used level-triggered, so that a keep-alive connection costs no system call beyond its own
// reads and writes. Why it is not Asio: docs/adr/0020-http-event-loop.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace otagate::http {

// Told by its loop, on the loop's thread. Has to outlive the batch of events it was removed in.
class Watcher {
 public:
  virtual void on_ready(std::uint32_t epoll_events) = 0;

 protected:
  ~Watcher() = default;
};

class Loop {
 public:
  // Throws sdk::Failure when the system has no descriptors left.
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until stop(); on the thread that is the loop's from then on.
  void run();

  // ---- any thread
  // Runs `work` on the loop's thread. After stop() it is destroyed unrun, when the loop is.
  template <class Work>
  void post(Work work) {
    push(std::make_unique<TaskOf<Work>>(std::move(work)));
  }
  void stop();

  // ---- the loop's thread, or before run()
  bool add(int fd, std::uint32_t epoll_events, Watcher* watcher);
  void modify(int fd, std::uint32_t epoll_events, Watcher* watcher);
  void remove(int fd);

  // Runs after the batch of events at hand: for what must not happen inside it.
  std::function<void()> after_batch;
  // Runs once a second while ticking.
  std::function<void()> on_tick;
  void set_ticking(bool on) { ticking_ = on; }

  // Monotonic milliseconds as of the batch at hand.
  std::uint64_t now_ms() const { return now_ms_; }

 private:
  struct Task {
    virtual ~Task() = default;
    virtual void run() = 0;
  };
  template <class Work>
  struct TaskOf final : Task {
    explicit TaskOf(Work given) : work(std::move(given)) {}
    void run() override { work(); }
    Work work;
  };

  void push(std::unique_ptr<Task> task);
  void run_posted();

  int epoll_ = -1;
  int wake_ = -1;
  bool stopping_ = false;  // the loop's thread
  bool ticking_ = false;   // the loop's thread
  std::uint64_t now_ms_ = 0;
  std::uint64_t next_tick_ms_ = 0;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Task>> posted_;   // guarded by mutex_
  std::vector<std::unique_ptr<Task>> running_;  // the loop's thread
};

}  // namespace otagate::http
