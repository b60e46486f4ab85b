#include "common/object_store/recent_checks.hpp"

namespace otagate::common {
namespace {

constexpr std::chrono::seconds kLasts{30};
constexpr std::size_t kMost = 1024;

std::string subject(std::string_view key, std::string_view change_token) {
  return std::string(key) + '\0' + std::string(change_token);
}

}  // namespace

bool RecentChecks::has(std::string_view key, std::string_view change_token) const {
  const std::scoped_lock lock(mutex_);
  const auto found = seen_.find(subject(key, change_token));
  return found != seen_.end() && now_() - found->second < kLasts;
}

void RecentChecks::add(std::string_view key, std::string_view change_token) {
  const Clock::time_point now = now_();
  const std::scoped_lock lock(mutex_);
  if (seen_.size() >= kMost) {
    std::erase_if(seen_, [&](const auto& entry) { return now - entry.second >= kLasts; });
  }
  if (seen_.size() < kMost) seen_[subject(key, change_token)] = now;
}

}  // namespace otagate::common
