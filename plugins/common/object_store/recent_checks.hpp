// Which objects answered lately, so that making many URLs of one object asks its store once.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace otagate::common {

// Any thread. Holds at most 1,024 objects for 30 seconds each; further ones are not remembered.
class RecentChecks {
 public:
  using Clock = std::chrono::steady_clock;

  explicit RecentChecks(std::function<Clock::time_point()> now = &Clock::now) : now_(std::move(now)) {}

  // Whether that state of that object was found within the last 30 seconds.
  bool has(std::string_view key, std::string_view change_token) const;
  void add(std::string_view key, std::string_view change_token);

 private:
  const std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point> seen_;  // under mutex_
};

}  // namespace otagate::common
