#include "hawkbit/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace otagate::hawkbit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = PollSchedule::Time;

const Time kStart{std::chrono::hours(1000)};

// Runs the schedule without waiting: who was polled when, until `end`.
std::vector<std::pair<Time, std::string>> run(PollSchedule& schedule, Time end, milliseconds interval) {
  std::vector<std::pair<Time, std::string>> polls;
  while (const auto next = schedule.next()) {
    if (*next >= end) break;
    const auto target = schedule.take(*next);
    if (!target) ADD_FAILURE() << "next() came, and take() gives nothing";
    polls.emplace_back(*next, *target);
    schedule.done(*target, *next, interval);
  }
  return polls;
}

TEST(HawkbitSchedule, FiveHundredTargetsAreSpreadOverTheInterval) {
  PollSchedule schedule({}, 1);
  for (int i = 0; i < 500; ++i) schedule.add("t" + std::to_string(i), kStart);
  const auto polls = run(schedule, kStart + seconds(1500), seconds(300));
  // Each of the first 500 polls is another target's, 50 ms apart.
  EXPECT_EQ(polls[499].first, kStart + milliseconds(499 * 50));
  // From the second interval on no tenth of it has more than twice its share.
  std::vector<int> tenths(10);
  std::size_t counted = 0;
  for (const auto& [at, target] : polls) {
    if (at < kStart + seconds(600) || at >= kStart + seconds(900)) continue;
    ++tenths[static_cast<std::size_t>((at - kStart - seconds(600)) / seconds(30))];
    ++counted;
  }
  EXPECT_NEAR(static_cast<double>(counted), 500, 40);
  EXPECT_LE(*std::max_element(tenths.begin(), tenths.end()), 100);
  EXPECT_GE(*std::min_element(tenths.begin(), tenths.end()), 10);
}

TEST(HawkbitSchedule, KeepsTheBoundsWhateverTheServerSays) {
  PollBounds bounds;
  bounds.shortest = seconds(10);
  bounds.longest = seconds(100);
  for (const auto& [said, low, high] :
       {std::tuple{seconds(0), 9, 11}, std::tuple{seconds(99 * 3600), 90, 110},
        std::tuple{seconds(50), 45, 55}}) {
    PollSchedule schedule(bounds, 7);
    schedule.add("a", kStart);
    const auto polls = run(schedule, kStart + seconds(2000), said);
    for (std::size_t i = 2; i < polls.size(); ++i) {
      const auto gap = polls[i].first - polls[i - 1].first;
      EXPECT_GE(gap, seconds(low));
      EXPECT_LE(gap, seconds(high));
    }
    EXPECT_GT(polls.size(), 10u);
  }
}

TEST(HawkbitSchedule, ATargetIsNeverTakenTwiceAtATime) {
  PollSchedule schedule({}, 1);
  schedule.add("a", kStart);
  schedule.add("a", kStart);
  EXPECT_EQ(schedule.size(), 1u);
  EXPECT_EQ(schedule.take(kStart), "a");
  EXPECT_EQ(schedule.next(), std::nullopt);
  schedule.soon("a", kStart);
  EXPECT_EQ(schedule.take(kStart + seconds(1)), std::nullopt);
  // It was wanted during the poll: once more, at once.
  schedule.done("a", kStart + seconds(1), seconds(300));
  EXPECT_EQ(schedule.take(kStart + seconds(1)), "a");
  schedule.done("a", kStart + seconds(1), seconds(300));
  EXPECT_GT(*schedule.next(), kStart + seconds(20));
  schedule.soon("a", kStart + seconds(2));
  EXPECT_EQ(schedule.take(kStart + seconds(2)), "a");
}

TEST(HawkbitSchedule, AHoldIsForAllAndIsNotShortened) {
  PollSchedule schedule({}, 1);
  schedule.add("a", kStart);
  schedule.add("b", kStart);
  EXPECT_EQ(schedule.take(kStart), "a");
  schedule.hold(kStart + seconds(60));
  schedule.hold(kStart + seconds(5));
  schedule.failed("a", kStart + seconds(60));
  EXPECT_EQ(schedule.take(kStart + seconds(59)), std::nullopt);
  EXPECT_EQ(schedule.next(), kStart + seconds(60));
  EXPECT_EQ(schedule.take(kStart + seconds(60)), "b");
  EXPECT_EQ(schedule.take(kStart + seconds(60)), std::nullopt) << "the spacing counts after a hold, too";
  EXPECT_EQ(schedule.take(kStart + seconds(61)), "a");
}

TEST(HawkbitSchedule, WhatIsRemovedDuringAPollIsGone) {
  PollSchedule schedule({}, 1);
  schedule.add("a", kStart);
  EXPECT_EQ(schedule.take(kStart), "a");
  schedule.remove("a");
  schedule.done("a", kStart, seconds(1));
  schedule.failed("a", kStart);
  schedule.soon("a", kStart);
  EXPECT_EQ(schedule.next(), std::nullopt);
  EXPECT_EQ(schedule.size(), 0u);
}

}  // namespace
}  // namespace otagate::hawkbit
