#include "common/object_store/recent_checks.hpp"

#include <gtest/gtest.h>

namespace otagate::common {
namespace {

TEST(RecentChecks, KnowsOneStateOfAnObjectForHalfAMinute) {
  RecentChecks::Clock::time_point now{};
  RecentChecks checks([&] { return now; });
  EXPECT_FALSE(checks.has("k", "a/1"));
  checks.add("k", "a/1");
  EXPECT_TRUE(checks.has("k", "a/1"));
  EXPECT_FALSE(checks.has("k", "b/1"));
  EXPECT_FALSE(checks.has("ka", "/1"));
  now += std::chrono::seconds(29);
  EXPECT_TRUE(checks.has("k", "a/1"));
  now += std::chrono::seconds(1);
  EXPECT_FALSE(checks.has("k", "a/1"));
}

TEST(RecentChecks, IsBoundedAndMakesRoomForNewOnes) {
  RecentChecks::Clock::time_point now{};
  RecentChecks checks([&] { return now; });
  for (int i = 0; i < 2000; ++i) checks.add(std::to_string(i), "");
  EXPECT_TRUE(checks.has("1023", ""));
  EXPECT_FALSE(checks.has("1024", ""));
  now += std::chrono::seconds(30);
  checks.add("new", "");
  EXPECT_TRUE(checks.has("new", ""));
}

}  // namespace
}  // namespace otagate::common
