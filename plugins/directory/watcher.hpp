// Tells the gateway when files of a folder have changed and have come to rest.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "directory/files.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::directory {

struct WatcherOptions {
  std::string path;
  std::chrono::milliseconds settle;  // a file that has not been written to for so long is complete
  std::chrono::milliseconds rescan;  // between hints where not everything can be watched
};

// Owns a thread. inotify sees writes, renames and deletions; each becomes one StoreHost::changed() when
// `settle` has passed. Where inotify cannot be had in full (watch limit, network file system) a hint
// without key goes out every `rescan`. A root that is missing is waited for. The host's functions are
// called on the watcher's thread.
class Watcher {
 public:
  Watcher(sdk::StoreHost& host, WatcherOptions options, const NameFilter& filter);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Returns when everything that the kernel has reported until now has been taken in, so that a file that
  // was closed before is not held for being written. Waits a second at most. Any thread but the watcher's.
  void catch_up();
  // How long to leave that file alone because somebody has written to it and not closed it yet; it is
  // also what a writer is given who never closes. nullopt: nobody has. Any thread.
  std::optional<std::chrono::milliseconds> being_written(const std::string& key) const;
  // Says changed(key) once more after `delay`. Any thread.
  void expect(const std::string& key, std::chrono::milliseconds delay);

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  bool start_watching();
  void stop_watching(const std::string& why);
  void add_folders(const std::string& start);
  void remove_folders(const std::string& folder);
  void read_events();
  void on_event(int descriptor, std::uint32_t mask, const char* name);
  void on_file(std::uint32_t mask, const std::string& key);
  void complain_of_limit(int error);
  void say_due();
  int wait_ms() const;

  sdk::StoreHost& host_;
  const WatcherOptions options_;
  const NameFilter& filter_;
  const Fd wake_;

  // The thread's own.
  Fd inotify_;
  std::map<int, std::string> folders_;  // watch descriptor -> folder, the root as ""
  bool everything_ = false;             // every change of every folder makes an event
  bool waiting_ = false;                // health says that the root is missing
  bool said_limit_ = false;
  Clock::time_point next_rescan_ = Clock::time_point::max();

  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point> written_;  // under mutex_: last write to what was not closed since
  std::map<std::string, Clock::time_point> due_;      // under mutex_: changed() to be said
  std::uint64_t asked_ = 0;                           // under mutex_: calls of catch_up()
  std::uint64_t caught_up_ = 0;                       // under mutex_: those that are answered
  std::condition_variable taken_in_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace otagate::directory
