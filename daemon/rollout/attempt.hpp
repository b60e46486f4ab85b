// One device's try at one deployment, as a state machine: reports and time in, its new state out.
//
//   offered -> downloading -> downloaded -> applying -> confirmed
//
// and from each of the first four to failed, timed_out, reverted, cancelled or superseded. With several parts
// the first three repeat for each. A final state is left no more.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace otagate::rollout {

// Values are stored: append only.
enum class AttemptState : std::uint8_t {
  offered = 0,
  downloading = 1,
  downloaded = 2,
  applying = 3,
  confirmed = 4,
  failed = 5,
  reverted = 6,  // the device came back with what it ran before
  timed_out = 7,
  cancelled = 8,
  superseded = 9,
};
std::string_view to_string(AttemptState state);
bool is_final(AttemptState state);

// What a device or its transport says of an attempt.
struct Report {
  enum class Kind : std::uint8_t {
    downloading,
    downloaded,
    applying,
    needs_confirm,
    confirmed,
    failed,
    reverted
  };
  Kind kind = Kind::downloading;
  std::uint32_t part = 0;
  std::uint64_t offset = 0;
  std::int32_t code = 0;
  std::string message;
};

// What the device is told.
enum class Answer : std::uint8_t { go_on, stop, confirm, revert };

// What a check-in of a device with an open attempt says about the part it is at.
enum class Runs : std::uint8_t {
  target,    // it runs what the part brings
  other,     // it runs something else, and has not been started anew since its last report
  restarted  // it runs something else, and it has
};

class Attempt {
 public:
  using Milliseconds = std::chrono::milliseconds;
  struct Patience {
    Milliseconds silence;
    Milliseconds apply;
  };

  // `now` throughout: a clock that only goes forward. `download_only`: a part is done once it is downloaded.
  Attempt(std::uint32_t parts, Patience patience, Milliseconds now, bool download_only = false);
  // As it was stored. Its patience begins anew: nobody listened meanwhile.
  Attempt(std::uint32_t parts, Patience patience, Milliseconds now, AttemptState state, std::uint32_t part,
          std::uint64_t offset, bool download_only = false);

  AttemptState state() const { return state_; }
  std::uint32_t part() const { return part_; }      // the one it is at
  std::uint64_t offset() const { return offset_; }  // of that part, the largest reported
  std::int32_t code() const { return code_; }
  const std::string& message() const { return message_; }
  // When tick() has something to do; never while nothing changes.
  Milliseconds due() const { return due_; }

  // A report that does not fit (of a part that is done, of a final attempt) changes nothing: devices repeat.
  Answer report(const Report& report, Milliseconds now);
  void checked_in(Runs runs, Milliseconds now);
  void tick(Milliseconds now);
  // cancelled or superseded. False where the device applies already: it is let through.
  bool cancel(AttemptState why, std::string message);
  // The device is no longer known: nobody will hear of it, whatever it does.
  void abandon(std::string message);

 private:
  void heard(Milliseconds now);
  void part_done(Milliseconds now);
  void end(AttemptState state, std::int32_t code, std::string message);

  std::uint32_t parts_;
  Patience patience_;
  bool download_only_;
  AttemptState state_ = AttemptState::offered;
  std::uint32_t part_ = 0;
  std::uint64_t offset_ = 0;
  std::int32_t code_ = 0;
  std::string message_;
  Milliseconds due_;
};

}  // namespace otagate::rollout
