// A deployment's spread over its members, as a state machine: what happened in, what to do out.
//
// It decides who may begin now, so that at no instant more devices have begun than the wave allows, more are
// at it than the concurrency allows, or one device is at it twice; and when the deployment advances, pauses,
// ends. It knows no device and no clock but those it is given, and stores nothing: whoever calls it does,
// before an answer leaves.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rollout/attempt.hpp"
#include "rollout/policy.hpp"

namespace otagate::rollout {

using DeviceKey = std::int64_t;
using AttemptId = std::uint64_t;  // 0: none

// Values are stored: append only.
enum class RolloutState : std::uint8_t {
  needs_approval = 0,
  active = 1,  // a standing one stays so when all its members are done
  paused = 2,
  completed = 3,
  aborted = 4,
};
std::string_view to_string(RolloutState state);
bool is_over(RolloutState state);

// Values are stored: append only.
enum class MemberState : std::uint8_t {
  waiting = 0,      // for its turn
  running = 1,      // has an open attempt
  backing_off = 2,  // tried, and will again
  succeeded = 3,
  failed = 4,
  current = 5,  // ran it already: takes no place in a wave
};
std::string_view to_string(MemberState state);

struct Member {
  MemberState state = MemberState::waiting;
  bool admitted = false;       // has begun once: holds a place in the waves for good
  std::uint32_t attempts = 0;  // that counted
  AttemptId attempt = 0;       // while running
  std::chrono::milliseconds not_before{0};
};

struct Counts {
  std::uint32_t members = 0;
  std::uint32_t admitted = 0;
  std::uint32_t waiting = 0;  // backing off included
  std::uint32_t running = 0;
  std::uint32_t succeeded = 0;
  std::uint32_t failed = 0;
  std::uint32_t current = 0;
};

// Time as the caller knows it.
struct Moment {
  std::chrono::milliseconds now{0};  // a clock that only goes forward
  std::int64_t wall_ms = 0;          // since 1970
  bool synchronised = false;         // wall_ms is to be trusted
};

// May a device begin?
struct Turn {
  enum class Kind : std::uint8_t {
    begin,
    running,  // it has: see `attempt`
    done,     // nothing to do for it here any more
    no_member,
    needs_approval,
    paused,
    over,
    window_closed,
    clock_unknown,  // windows stay closed without a synchronised clock
    wave_full,
    concurrency,
    backing_off,
  };
  Kind kind = Kind::no_member;
  AttemptId attempt = 0;
  std::chrono::milliseconds again{0};  // worth asking again after; 0: when something changes
};
std::string_view to_string(Turn::Kind kind);

// What the caller has to do and to say.
struct Changes {
  std::vector<AttemptId> cancel;  // these attempts
  bool state = false;             // state() is another
  bool wave = false;              // wave() is another: who waits may be asked to come
  std::string why;                // of the state, for people
};

class Rollout {
 public:
  explicit Rollout(const Policy& policy);
  // As it was stored; members follow by restore().
  Rollout(Policy policy, RolloutState state, std::uint32_t wave, std::uint32_t forgiven);

  const Policy& policy() const { return policy_; }
  RolloutState state() const { return state_; }
  std::uint32_t wave() const { return wave_; }  // from 0
  const Counts& counts() const { return counts_; }
  // Failures before the last resume(), which count no more.
  std::uint32_t forgiven() const { return forgiven_; }
  // Devices that may have begun in the present wave.
  std::uint32_t limit() const;
  const Member* find(DeviceKey device) const;
  const std::unordered_map<DeviceKey, Member>& members() const { return members_; }

  // A device that matches. `is_current`: it runs the target. A member already: no-op.
  void join(DeviceKey device, bool is_current);
  // A member does not match any more, or is gone.
  Changes leave(DeviceKey device);
  // A member that was done runs something else again: it is brought back, as often as attempts allow.
  void drifted(DeviceKey device);
  // A member that was not done runs the target all the same: it came by it in another way.
  Changes arrived(DeviceKey device);
  void restore(DeviceKey device, const Member& member);
  // Of a restored member that was running: which attempt that is. No member: no-op.
  void running(DeviceKey device, AttemptId attempt);

  Turn ask(DeviceKey device, const Moment& at) const;
  // After ask() said begin, and nothing else since.
  void began(DeviceKey device, AttemptId attempt);
  // The attempt reached a final state. One that is not the member's open one changes nothing.
  Changes ended(DeviceKey device, AttemptId attempt, AttemptState how, const Moment& at);

  Changes approve();
  Changes pause(std::string why);
  // Goes on although it failed so often, and from a wave that cannot succeed any more to the next one.
  Changes resume();
  Changes abort(std::string why);
  // Failed members may try again; it is active afterwards unless it was aborted.
  Changes retry();

 private:
  void count(const Member& member, int by);
  void set(Member& member, MemberState state);
  std::chrono::milliseconds back_off(std::uint32_t attempts) const;
  bool in_vain() const;
  void evaluate(Changes& changes);
  void enter(RolloutState state, std::string why, Changes& changes);

  Policy policy_;
  RolloutState state_;
  std::uint32_t wave_ = 0;
  std::unordered_map<DeviceKey, Member> members_;
  Counts counts_;
  std::uint32_t admitted_succeeded_ = 0;
  std::uint32_t forgiven_ = 0;
};

}  // namespace otagate::rollout
