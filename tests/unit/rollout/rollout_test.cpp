#include "rollout/rollout.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

namespace otagate::rollout {
namespace {

using namespace std::chrono_literals;

const Moment kNow{0ms, 0, true};

// A deployment and the attempts that the caller would own.
struct World {
  explicit World(Policy policy) : rollout(std::move(policy)) {}

  void join(DeviceKey from, DeviceKey to) {
    for (DeviceKey device = from; device < to; ++device) rollout.join(device, false);
  }
  bool begin(DeviceKey device, const Moment& at = kNow) {
    if (rollout.ask(device, at).kind != Turn::Kind::begin) return false;
    rollout.began(device, ++last);
    return true;
  }
  Changes end(DeviceKey device, AttemptState how = AttemptState::confirmed, const Moment& at = kNow) {
    return rollout.ended(device, rollout.find(device)->attempt, how, at);
  }
  Turn::Kind ask(DeviceKey device, const Moment& at = kNow) const { return rollout.ask(device, at).kind; }

  Rollout rollout;
  AttemptId last = 0;
};

Policy waves(std::initializer_list<const char*> amounts) {
  Policy policy;
  policy.waves.clear();
  for (const char* amount : amounts) policy.waves.push_back(*Amount::parse(amount));
  return policy;
}

TEST(Rollout, GoesWaveByWave) {
  World world(waves({"1", "10%", "100%"}));
  world.join(0, 100);
  EXPECT_TRUE(world.begin(7));
  EXPECT_EQ(world.ask(8), Turn::Kind::wave_full);
  EXPECT_TRUE(world.end(7).wave);
  for (DeviceKey device = 10; device < 19; ++device) EXPECT_TRUE(world.begin(device));
  EXPECT_EQ(world.ask(50), Turn::Kind::wave_full);
  for (DeviceKey device = 10; device < 17; ++device) EXPECT_FALSE(world.end(device).wave);
  EXPECT_TRUE(world.end(17).wave) << "nine of ten";
  EXPECT_EQ(world.rollout.limit(), 100U);
  EXPECT_TRUE(world.begin(50));
}

TEST(Rollout, AWaveOfACountIsNotPassedByFewerDevices) {
  World world(waves({"5", "100%"}));
  world.join(0, 2);
  EXPECT_TRUE(world.begin(0) && world.begin(1));
  world.end(0);
  EXPECT_FALSE(world.end(1).wave) << "those who match later pass it, too";
  world.join(2, 10);
  for (DeviceKey device = 2; device < 5; ++device) EXPECT_TRUE(world.begin(device));
  EXPECT_EQ(world.ask(5), Turn::Kind::wave_full);
}

TEST(Rollout, WithoutMembersNoWaveIsOver) {
  World world(waves({"10%", "100%"}));
  world.rollout.join(1, true);
  world.rollout.leave(1);
  EXPECT_EQ(world.rollout.wave(), 0U);
}

TEST(Rollout, ConcurrencyIsALimit) {
  Policy policy;
  policy.concurrency = 2;
  World world(policy);
  world.join(0, 5);
  EXPECT_TRUE(world.begin(0) && world.begin(1));
  EXPECT_EQ(world.ask(2), Turn::Kind::concurrency);
  world.end(0, AttemptState::timed_out);
  EXPECT_TRUE(world.begin(2));
}

TEST(Rollout, RetriesBackOffAndThenItFailed) {
  Policy policy;
  policy.attempts = 3;
  policy.retry_first = 10min;
  policy.retry_most = 15min;
  World world(policy);
  world.join(0, 1);
  EXPECT_TRUE(world.begin(0));
  world.end(0, AttemptState::reverted);
  const Turn turn = world.rollout.ask(0, kNow);
  EXPECT_EQ(turn.kind, Turn::Kind::backing_off);
  EXPECT_EQ(turn.again, 10min);
  EXPECT_TRUE(world.begin(0, {10min, 0, true}));
  world.end(0, AttemptState::failed, {10min, 0, true});
  EXPECT_FALSE(world.begin(0, {24min, 0, true}));
  EXPECT_TRUE(world.begin(0, {25min, 0, true}));
  world.end(0, AttemptState::timed_out, {25min, 0, true});
  EXPECT_EQ(world.rollout.counts().failed, 1U);
  EXPECT_EQ(world.ask(0, {1000min, 0, true}), Turn::Kind::done);
  world.rollout.retry();
  EXPECT_EQ(world.ask(0), Turn::Kind::begin);
}

TEST(Rollout, CancelledAttemptsDoNotCount) {
  Policy policy;
  policy.attempts = 1;
  World world(policy);
  world.join(0, 1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(world.begin(0));
    world.end(0, i % 2 == 0 ? AttemptState::cancelled : AttemptState::superseded);
  }
  EXPECT_TRUE(world.begin(0));
}

TEST(Rollout, AbortsAtTheThresholdAndNamesWhatRuns) {
  Policy policy = waves({"10", "100%"});
  policy.attempts = 1;
  policy.abort_at = *Amount::parse("30%");
  policy.advance_at = *Amount::parse("50%");
  World world(policy);
  world.join(0, 100);
  for (DeviceKey device = 0; device < 10; ++device) EXPECT_TRUE(world.begin(device));
  world.end(0, AttemptState::failed);
  world.end(1, AttemptState::reverted);
  const Changes changes = world.end(2, AttemptState::timed_out);
  EXPECT_EQ(world.rollout.state(), RolloutState::aborted);
  EXPECT_EQ(changes.cancel.size(), 7U);
  EXPECT_NE(changes.why.find("3 devices failed in wave 1"), std::string::npos) << changes.why;
  EXPECT_EQ(world.ask(20), Turn::Kind::over);
  // One of them had applied already and comes through.
  world.end(9);
  EXPECT_EQ(world.rollout.counts().succeeded, 1U);
  EXPECT_FALSE(world.rollout.resume().state);
}

TEST(Rollout, PausesWhereAWaveCannotSucceedAndGoesOnWhenTold) {
  Policy policy = waves({"4", "100%"});
  policy.attempts = 1;
  policy.advance_at = *Amount::parse("75%");
  World world(policy);
  world.join(0, 20);
  for (DeviceKey device = 0; device < 4; ++device) EXPECT_TRUE(world.begin(device));
  world.end(0, AttemptState::failed);
  EXPECT_EQ(world.rollout.state(), RolloutState::active) << "three of four are enough";
  EXPECT_TRUE(world.end(1, AttemptState::failed).state);
  EXPECT_EQ(world.rollout.state(), RolloutState::paused);
  EXPECT_EQ(world.ask(10), Turn::Kind::paused);
  EXPECT_TRUE(world.rollout.resume().wave);
  EXPECT_TRUE(world.begin(10));
}

TEST(Rollout, AResumeForgivesTheFailuresSoFar) {
  Policy policy;
  policy.attempts = 1;
  policy.pause_at = *Amount::parse("2");
  World world(policy);
  world.join(0, 10);
  for (DeviceKey device = 0; device < 6; ++device) EXPECT_TRUE(world.begin(device));
  world.end(0, AttemptState::failed);
  EXPECT_TRUE(world.end(1, AttemptState::failed).state);
  world.rollout.resume();
  EXPECT_FALSE(world.end(2).state);
  EXPECT_FALSE(world.end(3, AttemptState::failed).state);
  EXPECT_TRUE(world.end(4, AttemptState::failed).state);
}

TEST(Rollout, WaitsForApprovalWindowAndClock) {
  Policy policy;
  policy.approval = true;
  policy.windows = {*Window::parse("02:00-04:00")};
  World world(policy);
  world.join(0, 2);
  EXPECT_EQ(world.ask(0), Turn::Kind::needs_approval);
  EXPECT_TRUE(world.rollout.approve().state);
  EXPECT_EQ(world.ask(0, {0ms, 0, false}), Turn::Kind::clock_unknown);
  // By the machine's zone, whatever it is: open in some minute of the day and closed in another.
  std::set<Turn::Kind> seen;
  for (std::int64_t minute = 0; minute < 24 * 60; minute += 10) {
    const Turn turn = world.rollout.ask(0, {0ms, minute * 60'000, true});
    seen.insert(turn.kind);
    if (turn.kind == Turn::Kind::window_closed) {
      EXPECT_GT(turn.again, 0ms);
    }
  }
  EXPECT_EQ(seen, (std::set{Turn::Kind::begin, Turn::Kind::window_closed}));

  policy.approval = false;
  policy.window_without_clock = true;
  World open(policy);
  open.join(0, 1);
  EXPECT_EQ(open.ask(0, {0ms, 0, false}), Turn::Kind::begin);
}

TEST(Rollout, OnceItEndsAndStandingItDoesNot) {
  Policy policy;
  policy.once = true;
  World once(policy);
  once.join(0, 2);
  once.rollout.join(2, true);
  EXPECT_TRUE(once.begin(0) && once.begin(1));
  once.end(0);
  once.end(1);
  EXPECT_EQ(once.rollout.state(), RolloutState::completed);

  World standing{Policy{}};
  standing.join(0, 1);
  EXPECT_TRUE(standing.begin(0));
  standing.end(0);
  EXPECT_EQ(standing.rollout.state(), RolloutState::active);
  standing.join(5, 6);
  EXPECT_TRUE(standing.begin(5));
}

TEST(Rollout, WhoDriftsIsBroughtBackAsOftenAsAttemptsAllow) {
  Policy policy;
  policy.attempts = 2;
  World world(policy);
  world.rollout.join(1, true);
  world.rollout.drifted(1);
  EXPECT_TRUE(world.begin(1));
  world.end(1);
  world.rollout.drifted(1);
  EXPECT_TRUE(world.begin(1));
  world.end(1);
  world.rollout.drifted(1);
  EXPECT_EQ(world.rollout.find(1)->state, MemberState::failed);
}

TEST(Rollout, LateResultsChangeNothing) {
  World world{Policy{}};
  world.join(0, 1);
  EXPECT_TRUE(world.begin(0));
  const AttemptId first = world.last;
  world.end(0, AttemptState::cancelled);
  EXPECT_TRUE(world.begin(0));
  world.rollout.ended(0, first, AttemptState::confirmed, kNow);
  EXPECT_EQ(world.rollout.find(0)->state, MemberState::running);
}

TEST(Rollout, AMemberThatLeavesGivesItsPlaceBack) {
  World world(waves({"1", "100%"}));
  world.join(0, 3);
  EXPECT_TRUE(world.begin(0));
  EXPECT_EQ(world.rollout.leave(0).cancel, std::vector<AttemptId>{1});
  EXPECT_EQ(world.rollout.counts().members, 2U);
  EXPECT_TRUE(world.begin(1));
}

// Every state that a few devices can bring a deployment into, by every event, breadth first.
class Exhaustive {
 public:
  explicit Exhaustive(const Policy& policy) : policy_(policy) {}

  void run(std::size_t devices) {
    Rollout start(policy_);
    for (std::size_t device = 0; device < devices; ++device)
      start.join(static_cast<DeviceKey>(device), false);
    devices_ = devices;
    visit(start);
    while (!queue_.empty() && !::testing::Test::HasFatalFailure()) {
      const Rollout at = std::move(queue_.front());
      queue_.pop_front();
      step(at);
    }
  }
  std::size_t states() const { return seen_.size(); }

 private:
  static constexpr Moment kLater{24h, 0, true};

  static std::string key(const Rollout& rollout) {
    std::string text = std::string(to_string(rollout.state())) + std::to_string(rollout.wave()) + "/" +
                       std::to_string(rollout.forgiven());
    const std::map<DeviceKey, Member> members(rollout.members().begin(), rollout.members().end());
    for (const auto& [device, member] : members)
      text += " " + std::to_string(device) + std::string(to_string(member.state)) +
              (member.admitted ? "!" : "") + std::to_string(member.attempts) +
              (member.attempt != 0 ? "*" : "");
    return text;
  }

  void check(const Rollout& rollout) {
    Counts counts;
    std::set<AttemptId> open;
    for (const auto& [device, member] : rollout.members()) {
      counts.members++;
      counts.admitted += member.admitted ? 1 : 0;
      counts.waiting +=
          member.state == MemberState::waiting || member.state == MemberState::backing_off ? 1 : 0;
      counts.running += member.state == MemberState::running ? 1 : 0;
      counts.succeeded += member.state == MemberState::succeeded ? 1 : 0;
      counts.failed += member.state == MemberState::failed ? 1 : 0;
      counts.current += member.state == MemberState::current ? 1 : 0;
      ASSERT_EQ(member.state == MemberState::running, member.attempt != 0);
      if (member.attempt != 0) {
        ASSERT_TRUE(open.insert(member.attempt).second);
      }
      ASSERT_LE(member.attempts, policy_.attempts);
    }
    const Counts& told = rollout.counts();
    ASSERT_EQ(std::tie(told.members, told.admitted, told.waiting, told.running, told.succeeded, told.failed),
              std::tie(counts.members, counts.admitted, counts.waiting, counts.running, counts.succeeded,
                       counts.failed));
    if (policy_.concurrency != 0) {
      ASSERT_LE(told.running, policy_.concurrency);
    }
  }

  void visit(const Rollout& rollout) {
    check(rollout);
    if (seen_.insert(key(rollout)).second) queue_.push_back(rollout);
  }

  void step(const Rollout& at) {
    for (std::size_t number = 0; number < devices_; ++number) {
      const auto device = static_cast<DeviceKey>(number);
      const Member* const member = at.find(device);
      if (member == nullptr) {
        auto next = at;
        next.join(device, false);
        visit(next);
        continue;
      }
      for (const Moment& when : {kNow, kLater}) {
        if (at.ask(device, when).kind != Turn::Kind::begin) continue;
        ASSERT_EQ(at.state(), RolloutState::active);
        ASSERT_EQ(member->attempt, 0U) << "twice at once";
        auto next = at;
        next.began(device, static_cast<AttemptId>(number + 1));
        ASSERT_TRUE(member->admitted || next.counts().admitted <= at.limit()) << "more than the wave allows";
        visit(next);
      }
      if (member->attempt != 0) {
        for (const auto how : {AttemptState::confirmed, AttemptState::failed, AttemptState::cancelled}) {
          auto next = at;
          next.ended(device, member->attempt, how, kNow);
          ASSERT_NE(next.find(device)->state, MemberState::running);
          visit(next);
        }
      }
      auto gone = at;
      gone.leave(device);
      ASSERT_EQ(gone.find(device), nullptr);
      visit(gone);
      auto drifted = at;
      drifted.drifted(device);
      visit(drifted);
    }
    for (int what = 0; what < 5; ++what) {
      auto next = at;
      const Changes changes = what == 0   ? next.pause("")
                              : what == 1 ? next.resume()
                              : what == 2 ? next.abort("")
                              : what == 3 ? next.retry()
                                          : next.approve();
      if (next.state() != at.state()) {
        ASSERT_TRUE(changes.state);
      }
      if (next.state() == RolloutState::aborted && changes.state) {
        ASSERT_EQ(changes.cancel.size(), at.counts().running);
      }
      visit(next);
    }
    finishes(at);
  }

  // Nobody is lost: with every attempt successful from here on, and an operator who resumes, all are updated.
  void finishes(Rollout rollout) {
    rollout.approve();
    rollout.retry();
    rollout.resume();
    for (int round = 0; round < 50 && !is_over(rollout.state()); ++round) {
      rollout.resume();
      for (const auto& [device, member] : std::map(rollout.members().begin(), rollout.members().end())) {
        if (member.attempt == 0 && rollout.ask(device, kLater).kind == Turn::Kind::begin)
          rollout.began(device, static_cast<AttemptId>(device) + 1);
        if (const AttemptId open = rollout.find(device)->attempt; open != 0)
          rollout.ended(device, open, AttemptState::confirmed, kLater);
      }
    }
    if (rollout.state() == RolloutState::aborted) return;
    // A wave of a count waits for more devices than there are.
    const auto& counts = rollout.counts();
    if (counts.admitted < counts.members - counts.current && counts.admitted >= rollout.limit()) {
      ASSERT_LT(counts.succeeded, rollout.limit()) << key(rollout);
      return;
    }
    ASSERT_EQ(counts.waiting + counts.running + counts.failed, 0U) << key(rollout);
  }

  Policy policy_;
  std::size_t devices_ = 0;
  std::set<std::string> seen_;
  std::deque<Rollout> queue_;
};

TEST(Rollout, HoldsInEveryStateThatThreeDevicesCanReach) {
  Policy policy = waves({"1", "67%", "100%"});
  policy.concurrency = 2;
  policy.attempts = 1;
  policy.abort_at = *Amount::parse("3");
  Exhaustive search(policy);
  search.run(3);
  EXPECT_GT(search.states(), 1'000U);
}

TEST(Rollout, HoldsInEveryStateThatTwoDevicesCanReachWhateverThePolicy) {
  std::size_t states = 0;
  for (const bool once : {false, true}) {
    for (const std::uint32_t concurrency : {0U, 1U, 2U}) {
      for (const char* abort_at : {"", "2", "50%"}) {
        for (const auto& steps : {waves({"1", "100%"}), waves({"50%", "2", "100%"}), waves({"100%"})}) {
          Policy policy = steps;
          policy.once = once;
          policy.concurrency = concurrency;
          policy.attempts = concurrency == 0 ? 2 : 1;
          policy.approval = concurrency == 1;
          if (*abort_at != '\0') policy.abort_at = *Amount::parse(abort_at);
          Exhaustive search(policy);
          search.run(2);
          if (HasFatalFailure()) return;
          states += search.states();
        }
      }
    }
  }
  EXPECT_GT(states, 5'000U);
}

}  // namespace
}  // namespace otagate::rollout
