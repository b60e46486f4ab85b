#include "dice.hpp"

#include <gtest/gtest.h>

#include <map>

namespace otagate::sim {
namespace {

// Written down: a release that rolls other dice would make every recorded run another one.
TEST(Chance, IsSplitMix64) {
  Chance chance(1, 0);
  EXPECT_EQ(chance.next(), Chance(1, 0).next());
  EXPECT_NE(Chance(1, 0).next(), Chance(1, 1).next());
  EXPECT_NE(Chance(1, 0).next(), Chance(2, 0).next());
}

TEST(Roll, IsTheSameForTheSameDevice) {
  const Odds odds{0.1, 0.1, 0.1, 0.3};
  for (std::uint64_t device = 0; device < 100; ++device) {
    const auto one = roll(7, device, odds);
    const auto other = roll(7, device, odds);
    EXPECT_EQ(one.end, other.end);
    EXPECT_EQ(one.crashes, other.crashes);
    EXPECT_EQ(one.crash_at, other.crash_at);
    EXPECT_EQ(one.silent_at, other.silent_at);
  }
}

TEST(Roll, KeepsToTheOdds) {
  const Odds odds{0.02, 0.03, 0.05, 0.1};
  std::map<End, int> ends;
  int crashes = 0;
  constexpr int kDevices = 100'000;
  for (int device = 0; device < kDevices; ++device) {
    const auto fate = roll(1, static_cast<std::uint64_t>(device), odds);
    ++ends[fate.end];
    crashes += fate.crashes ? 1 : 0;
    EXPECT_GE(fate.crash_at, 0);
    EXPECT_LT(fate.crash_at, 1);
  }
  EXPECT_NEAR(ends[End::silent], 2'000, 300);
  EXPECT_NEAR(ends[End::fails], 3'000, 300);
  EXPECT_NEAR(ends[End::reverts], 5'000, 400);
  EXPECT_NEAR(crashes, 10'000, 600);
}

TEST(Roll, AnotherProbabilityChangesOnlyWhatItIsAbout) {
  for (std::uint64_t device = 0; device < 200; ++device) {
    EXPECT_EQ(roll(3, device, {0.1, 0, 0, 0}).end, roll(3, device, {0.1, 0, 0, 0.9}).end);
    EXPECT_EQ(roll(3, device, {0, 0, 0, 0.5}).crashes, roll(3, device, {0.4, 0.3, 0.3, 0.5}).crashes);
  }
}

}  // namespace
}  // namespace otagate::sim
