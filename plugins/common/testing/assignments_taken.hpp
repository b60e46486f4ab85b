// What a store assigned and took back, in its order: the gateway's half of assignments, for tests.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "otagate/cpp/store.hpp"

namespace otagate::testing {

// An assignment, or (cancelled) the external id of one that upstream took back.
struct Assigned {
  sdk::Assignment wish{};
  bool cancelled = false;
};

// Any thread.
class AssignmentsTaken {
 public:
  std::uint64_t begin(const otagate_assignment& raw) {
    sdk::Assignment wish;
    wish.external_id = sdk::view(raw.external_id);
    wish.device = sdk::view(raw.device);
    wish.mode = raw.mode;
    wish.window = raw.window;
    wish.not_before_ms = raw.not_before_ms;
    wish.needs_confirm = raw.needs_confirm != 0;
    const std::scoped_lock lock(mutex_);
    building_[++last_] = std::move(wish);
    return last_;
  }

  void part(std::uint64_t handle, const otagate_assignment_part& raw, sdk::Object object) {
    sdk::AssignmentPart part;
    part.component = sdk::view(raw.component);
    part.name = sdk::view(raw.name);
    part.version = sdk::view(raw.version);
    part.params = sdk::unpack(sdk::view(raw.params));
    part.object = std::move(object);
    part.object.locators = sdk::unpack_words(sdk::view(raw.object->locators));
    const std::scoped_lock lock(mutex_);
    building_.at(handle).parts.push_back(std::move(part));
  }

  void commit(std::uint64_t handle) {
    const std::scoped_lock lock(mutex_);
    taken_.push_back({std::move(building_.at(handle)), false});
    building_.erase(handle);
    news_.notify_all();
  }

  void cancel(otagate_str external_id) {
    Assigned taken_back;
    taken_back.wish.external_id = sdk::view(external_id);
    taken_back.cancelled = true;
    const std::scoped_lock lock(mutex_);
    taken_.push_back(std::move(taken_back));
    news_.notify_all();
  }

  // The oldest that was not given yet, if it comes in time.
  std::optional<Assigned> next(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!news_.wait_for(lock, limit, [this] { return !taken_.empty(); })) return std::nullopt;
    Assigned first = std::move(taken_.front());
    taken_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable news_;
  std::uint64_t last_ = 0;  // what follows: under mutex_
  std::map<std::uint64_t, sdk::Assignment> building_;
  std::deque<Assigned> taken_;
};

}  // namespace otagate::testing
