// What the functions of the host's tables share with the instance they are called for.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host.hpp"
#include "otagate/storage.h"

namespace otagate::kit {

struct Instance::Core {
  Instance* owner = nullptr;
  std::uint32_t plugin_flags = 0;
  const toml::table* options = nullptr;
  otagate_host table{};
  otagate_storage_host storage_table{};
  bool short_tables = false;

  std::mutex serial;  // held around calls of a plugin that is not thread-safe

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::map<otagate_call, std::shared_ptr<Call>> calls;
  otagate_call next = 0x700000001;
  std::vector<std::thread> threads;
  std::vector<std::string> violations;
  std::vector<std::string> events;
  std::vector<ListedObject> assigned;
  std::uint32_t health = OTAGATE_OK;
  bool destroyed = false;
  // Values handed out live until the instance is destroyed.
  std::map<std::string, std::string> strings;

  // The reply thread's work, by time.
  std::multimap<Clock::time_point, std::function<void()>> posted;
  struct Timer {
    otagate_reply reply{};
  };
  std::map<otagate_call, Timer> timers;
  bool stop = false;
  std::thread replier;

  std::shared_ptr<Call> find(otagate_call call) {
    std::lock_guard lock(mutex);
    const auto found = calls.find(call);
    return found == calls.end() ? nullptr : found->second;
  }
  void violation(const std::string& what) {
    std::lock_guard lock(mutex);
    if (violations.size() < 100) violations.push_back(what);
  }
  void post(std::function<void()> work, milliseconds delay) {
    std::lock_guard lock(mutex);
    posted.emplace(Clock::now() + delay, std::move(work));
    changed.notify_all();
  }
  void run() {
    std::unique_lock lock(mutex);
    while (!stop || !posted.empty()) {
      if (posted.empty()) {
        changed.wait(lock);
      } else if (posted.begin()->first > Clock::now() && !stop) {
        changed.wait_until(lock, posted.begin()->first);
      } else {
        auto work = std::move(posted.begin()->second);
        posted.erase(posted.begin());
        lock.unlock();
        work();
        lock.lock();
      }
    }
  }
};

void fill_tables(Instance::Core& core);
// Answers a timer, unless it has been.
void fire(Instance::Core& core, otagate_call handle, std::uint32_t status);

}  // namespace otagate::kit
