// When which target is polled: pure, the caller brings the time.
//
// Each target is polled once in the interval that the server asks for, give or take a tenth, so that
// targets that were added together drift apart; its second poll comes at a random moment within the first
// interval, which spreads many targets over it. Between any two polls lies `spacing`, whatever is due.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

namespace otagate::hawkbit {

struct PollBounds {
  std::chrono::milliseconds shortest{10'000};
  std::chrono::milliseconds longest{3'600'000};
  std::chrono::milliseconds usual{300'000};  // where the server does not say
  std::chrono::milliseconds spacing{50};
};

// Not thread-safe.
class PollSchedule {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  PollSchedule(PollBounds bounds, std::uint64_t seed) : bounds_(bounds), random_(seed) {}

  // Polled as soon as it may be. A target that is there already: nothing.
  void add(const std::string& target, Time now);
  void remove(const std::string& target);
  std::size_t size() const { return entries_.size(); }

  // When take() will give something; nothing while there is nothing to wait for.
  std::optional<Time> next() const;
  // The target that has waited longest, which is then being polled until done().
  std::optional<std::string> take(Time now);
  // The poll has ended: again after the server's interval, or after the usual one.
  void done(const std::string& target, Time now, std::optional<std::chrono::milliseconds> interval);
  // It could not be polled: first in line once that time has come.
  void failed(const std::string& target, Time again);
  // There may be news of it: poll it without waiting for its time. While it is being polled: once more.
  void soon(const std::string& target, Time now);
  // No poll of any target before that. Never shortens what was said before.
  void hold(Time until);

 private:
  struct Entry {
    Time due{};
    bool polling = false;
    bool again = false;    // soon() came during the poll
    bool settled = false;  // has had its first interval
  };

  void place(const std::string& target, Entry& entry, Time due);
  std::chrono::milliseconds share(std::chrono::milliseconds whole, double from, double to);

  const PollBounds bounds_;
  std::mt19937_64 random_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::set<std::pair<Time, std::string>> queue_;  // those that are not being polled
  Time not_before_ = Time::min();                 // spacing and hold()
};

}  // namespace otagate::hawkbit
