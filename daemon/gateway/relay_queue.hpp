// What one store that assigns has to be told next: which devices to watch, and how updates went.
//
// A state machine without I/O or clock: what is to be said in, the next call out, its outcome in. For one
// device, and for one assignment, one call is open at a time; feedback of an assignment goes out in order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "config/config.hpp"
#include "plugin/storage.hpp"
#include "state/outbox.hpp"

namespace otagate::gateway {

class RelayQueue {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr std::size_t kMaxWatched = 10'000;

  struct Watch {
    std::string device;
    plugin::Pairs attributes;
  };
  struct Unwatch {
    std::string device;
  };
  using Job = std::variant<Watch, Unwatch, state::OutboxRow>;

  enum class Outcome {
    done,
    again,  // later: by the back-off, at the earliest after what the store asked for
    drop,   // saying it again would not help
  };

  explicit RelayQueue(config::Retry retry) : retry_(retry) {}

  // The device is to be watched with these attributes; said already like that: no-op. False: too many.
  bool watch(const std::string& device, plugin::Pairs attributes);
  // Not one to be watched: no-op.
  void unwatch(const std::string& device);
  // Takes the place of progress and of what is of its kind, unless that is on its way. Known by its id:
  // no-op.
  void add(state::OutboxRow row, int replaces);

  // The next call to make; nothing: see due(). Feedback first: devices wait for nothing.
  std::optional<Job> next(Milliseconds now);
  void ended(const Job& job, Outcome outcome, Milliseconds now, Milliseconds retry_after);
  // When next() has something that waits for its back-off.
  std::optional<Milliseconds> due() const;

  std::size_t watched() const { return told_; }
  std::size_t unsaid_watches() const { return watch_ready_.size() + watch_waiting_; }
  std::size_t feedback() const { return rows_; }

 private:
  struct Device {
    plugin::Pairs attributes;
    bool wanted = false;
    bool told = false;    // is watched upstream, maybe with older attributes
    bool behind = false;  // upstream does not know what is wanted
    bool open = false;
    bool queued = false;
    Milliseconds back_off{0};
  };
  struct Subject {
    std::map<std::int64_t, state::OutboxRow> rows;
    bool open = false;
    bool queued = false;
    Milliseconds back_off{0};
  };
  enum class Kind : bool { watch, feedback };

  void queue(const std::string& id, Device& device);
  void queue(const std::string& id, Subject& subject);
  Milliseconds back_off(Milliseconds& last, Milliseconds retry_after) const;

  config::Retry retry_;
  std::map<std::string, Device> devices_;
  std::map<std::string, Subject> subjects_;
  std::deque<std::string> watch_ready_;
  std::deque<std::string> feedback_ready_;
  std::multimap<Milliseconds, std::pair<Kind, std::string>> waiting_;
  std::size_t watch_waiting_ = 0;
  std::size_t told_ = 0;
  std::size_t rows_ = 0;
};

}  // namespace otagate::gateway
