#include "rollout/attempt.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>

namespace otagate::rollout {
namespace {

using namespace std::chrono_literals;
using Kind = Report::Kind;

constexpr Attempt::Patience kPatience{30min, 60min};

Report report(Kind kind, std::uint64_t offset = 0, std::uint32_t part = 0) {
  Report made;
  made.kind = kind;
  made.offset = offset;
  made.part = part;
  return made;
}

TEST(Attempt, GoesFromOfferToConfirmed) {
  Attempt attempt(1, kPatience, 0min);
  EXPECT_EQ(attempt.report(report(Kind::downloading, 10), 1min), Answer::go_on);
  EXPECT_EQ(attempt.state(), AttemptState::downloading);
  attempt.report(report(Kind::downloaded, 100), 2min);
  attempt.report(report(Kind::applying), 3min);
  EXPECT_EQ(attempt.state(), AttemptState::applying);
  attempt.checked_in(Runs::target, 4min);
  EXPECT_EQ(attempt.state(), AttemptState::confirmed);
  EXPECT_EQ(attempt.due(), std::chrono::milliseconds::max());
}

TEST(Attempt, KeepsTheLargestOffsetOfAPart) {
  Attempt attempt(2, kPatience, 0min);
  attempt.report(report(Kind::downloading, 500), 1min);
  attempt.report(report(Kind::downloading, 200), 1min);
  EXPECT_EQ(attempt.offset(), 500U);
  attempt.checked_in(Runs::target, 2min);
  EXPECT_EQ(attempt.part(), 1U);
  EXPECT_EQ(attempt.offset(), 0U);
  attempt.report(report(Kind::downloading, 900, 0), 3min);
  EXPECT_EQ(attempt.offset(), 0U) << "of a part that is done";
}

TEST(Attempt, BackWithTheOldVersionAfterASwapIsReverted) {
  Attempt attempt(1, kPatience, 0min);
  attempt.checked_in(Runs::restarted, 1min);
  EXPECT_EQ(attempt.state(), AttemptState::offered) << "it had nothing to swap to yet";
  attempt.report(report(Kind::applying), 2min);
  attempt.checked_in(Runs::other, 3min);
  EXPECT_EQ(attempt.state(), AttemptState::applying) << "it polls while it applies";
  attempt.checked_in(Runs::restarted, 4min);
  EXPECT_EQ(attempt.state(), AttemptState::reverted);
}

TEST(Attempt, SilenceTimesOutAndApplyingMayTakeLonger) {
  Attempt attempt(1, kPatience, 0min);
  attempt.tick(29min);
  EXPECT_FALSE(is_final(attempt.state()));
  attempt.report(report(Kind::downloading, 1), 29min);
  EXPECT_EQ(attempt.due(), 59min);
  attempt.report(report(Kind::applying), 30min);
  attempt.checked_in(Runs::other, 80min);
  EXPECT_EQ(attempt.due(), 90min) << "polls are no sign that it gets anywhere";
  attempt.tick(90min);
  EXPECT_EQ(attempt.state(), AttemptState::timed_out);
  EXPECT_NE(attempt.message().find("applying"), std::string::npos);
}

TEST(Attempt, IsCancelledUnlessItApplies) {
  Attempt attempt(1, kPatience, 0min);
  attempt.report(report(Kind::downloaded), 1min);
  EXPECT_TRUE(attempt.cancel(AttemptState::superseded, "newer"));
  EXPECT_EQ(attempt.state(), AttemptState::superseded);
  EXPECT_EQ(attempt.report(report(Kind::downloading), 2min), Answer::stop);
  EXPECT_EQ(attempt.report(report(Kind::needs_confirm), 2min), Answer::revert);

  Attempt applying(1, kPatience, 0min);
  applying.report(report(Kind::applying), 1min);
  EXPECT_FALSE(applying.cancel(AttemptState::cancelled, "aborted"));
  EXPECT_EQ(applying.state(), AttemptState::applying);
}

TEST(Attempt, RepeatsGetTheSameAnswer) {
  Attempt attempt(1, kPatience, 0min);
  EXPECT_EQ(attempt.report(report(Kind::needs_confirm), 1min), Answer::confirm);
  EXPECT_EQ(attempt.report(report(Kind::confirmed), 2min), Answer::go_on);
  EXPECT_EQ(attempt.report(report(Kind::confirmed), 3min), Answer::go_on);
  EXPECT_EQ(attempt.report(report(Kind::needs_confirm), 4min), Answer::confirm);
  EXPECT_EQ(attempt.state(), AttemptState::confirmed);

  Attempt failed(1, kPatience, 0min);
  auto why = report(Kind::failed);
  why.code = -5;
  why.message = "flash";
  EXPECT_EQ(failed.report(why, 1min), Answer::stop);
  EXPECT_EQ(failed.report(report(Kind::confirmed), 2min), Answer::stop) << "a final state is left no more";
  EXPECT_EQ(failed.state(), AttemptState::failed);
  EXPECT_EQ(failed.code(), -5);
  EXPECT_EQ(failed.message(), "flash");
}

TEST(Attempt, AsStoredItHasItsPatienceAnew) {
  Attempt attempt(3, kPatience, 100min, AttemptState::applying, 2, 77);
  EXPECT_EQ(attempt.due(), 160min);
  EXPECT_EQ(attempt.part(), 2U);
  EXPECT_EQ(attempt.offset(), 77U);
  EXPECT_FALSE(attempt.cancel(AttemptState::cancelled, "no"));
}

// Whatever comes in whatever order: parts and, within one, offsets only grow, a final state stays, and
// something is due as long as it is not final.
TEST(Attempt, HoldsWhatItPromisesUnderAnySequence) {
  std::mt19937 random(4);
  constexpr std::array kKinds = {Kind::downloading, Kind::downloaded, Kind::applying, Kind::needs_confirm,
                                 Kind::confirmed,   Kind::failed,     Kind::reverted};
  for (int round = 0; round < 20'000; ++round) {
    Attempt attempt(1 + random() % 3, kPatience, 0min);
    std::chrono::milliseconds now{0};
    for (int step = 0; step < 20; ++step) {
      const Attempt before = attempt;
      now += std::chrono::minutes(random() % 20);
      switch (random() % 5) {
        case 0: attempt.checked_in(Runs::target, now); break;
        case 1: attempt.checked_in(random() % 2 ? Runs::other : Runs::restarted, now); break;
        case 2: attempt.tick(now); break;
        case 3: attempt.cancel(AttemptState::cancelled, ""); break;
        default:
          attempt.report(
              report(kKinds[random() % 5], random() % 1000, static_cast<std::uint32_t>(random() % 3)), now);
      }
      ASSERT_GE(attempt.part(), before.part());
      if (attempt.part() == before.part()) {
        ASSERT_GE(attempt.offset(), before.offset());
      }
      if (is_final(before.state())) {
        ASSERT_EQ(attempt.state(), before.state());
      }
      ASSERT_EQ(is_final(attempt.state()), attempt.due() == std::chrono::milliseconds::max());
      if (before.state() == AttemptState::applying) {
        ASSERT_NE(attempt.state(), AttemptState::cancelled);
      }
    }
  }
}

}  // namespace
}  // namespace otagate::rollout
