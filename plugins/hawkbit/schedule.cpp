#include "hawkbit/schedule.hpp"

#include <algorithm>

namespace otagate::hawkbit {

using std::chrono::milliseconds;

void PollSchedule::place(const std::string& target, Entry& entry, Time due) {
  queue_.erase({entry.due, target});
  entry.due = due;
  entry.polling = false;
  entry.again = false;
  queue_.insert({due, target});
}

milliseconds PollSchedule::share(milliseconds whole, double from, double to) {
  std::uniform_real_distribution<double> draw(from, to);
  return milliseconds(static_cast<milliseconds::rep>(static_cast<double>(whole.count()) * draw(random_)));
}

void PollSchedule::add(const std::string& target, Time now) {
  const auto [at, added] = entries_.try_emplace(target);
  if (added) place(target, at->second, now);
}

void PollSchedule::remove(const std::string& target) {
  const auto found = entries_.find(target);
  if (found == entries_.end()) return;
  queue_.erase({found->second.due, target});
  entries_.erase(found);
}

std::optional<PollSchedule::Time> PollSchedule::next() const {
  if (queue_.empty()) return std::nullopt;
  return std::max(queue_.begin()->first, not_before_);
}

std::optional<std::string> PollSchedule::take(Time now) {
  const std::optional<Time> due = next();
  if (!due || *due > now) return std::nullopt;
  std::string target = queue_.begin()->second;
  queue_.erase(queue_.begin());
  entries_.at(target).polling = true;
  not_before_ = now + bounds_.spacing;
  return target;
}

void PollSchedule::done(const std::string& target, Time now, std::optional<milliseconds> interval) {
  const auto found = entries_.find(target);
  if (found == entries_.end() || !found->second.polling) return;
  Entry& entry = found->second;
  const milliseconds whole = std::clamp(interval.value_or(bounds_.usual), bounds_.shortest, bounds_.longest);
  const milliseconds wait = entry.again     ? milliseconds(0)
                            : entry.settled ? share(whole, 0.9, 1.1)
                                            : share(whole, 0.1, 1.0);
  entry.settled = true;
  place(target, entry, now + wait);
}

void PollSchedule::failed(const std::string& target, Time again) {
  const auto found = entries_.find(target);
  if (found != entries_.end() && found->second.polling) place(target, found->second, again);
}

void PollSchedule::soon(const std::string& target, Time now) {
  const auto found = entries_.find(target);
  if (found == entries_.end()) return;
  if (found->second.polling) {
    found->second.again = true;
  } else if (found->second.due > now) {
    place(target, found->second, now);
  }
}

void PollSchedule::hold(Time until) { not_before_ = std::max(not_before_, until); }

}  // namespace otagate::hawkbit
