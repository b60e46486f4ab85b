#include "rollout/window.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <array>

namespace otagate::rollout {
namespace {

// The machine's zone for one test.
class In {
 public:
  explicit In(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~In() {
    ::unsetenv("TZ");
    ::tzset();
  }
  In(const In&) = delete;
  In& operator=(const In&) = delete;
};

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
// 2026-03-29 00:00 UTC, a Sunday: at 01:00 UTC Berlin's clocks go from 02:00 to 03:00.
constexpr std::int64_t kForward = 1'774'742'400'000;
// 2026-10-25 00:00 UTC, a Sunday: at 01:00 UTC they go from 03:00 back to 02:00.
constexpr std::int64_t kBack = 1'792'886'400'000;
constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

std::vector<Window> windows(std::initializer_list<const char*> texts) {
  std::vector<Window> all;
  for (const char* text : texts) all.push_back(*Window::parse(text));
  return all;
}

TEST(Window, ReadsDaysAndTimes) {
  const std::array<std::array<const char*, 2>, 6> cases{{{"02:00-04:00", "02:00-04:00"},
                                                         {"Sat,Sun 22:00-06:00", "Sat,Sun 22:00-06:00"},
                                                         {"Mon-Wed 00:00-24:00", "Mon,Tue,Wed 00:00-24:00"},
                                                         {"Sat-Mon 01:30-05:00", "Mon,Sat,Sun 01:30-05:00"},
                                                         {"Mon-Sun 10:00-11:00", "10:00-11:00"},
                                                         {"Fri,Fri 10:00-10:00", "Fri 10:00-10:00"}}};
  for (const auto& [text, canonical] : cases) {
    const auto window = Window::parse(text);
    ASSERT_TRUE(window) << text;
    EXPECT_EQ(window->text(), canonical);
    EXPECT_EQ(Window::parse(canonical)->text(), canonical);
  }
  for (const char* wrong :
       {"", "02:00", "2:00-4:00", "02:60-04:00", "24:00-04:00", "02:00-24:01", "Mo 02:00-04:00",
        "Mon, 02:00-04:00", "Mon02:00-04:00", " 02:00-04:00", "02:00-04:00 ", "-1:00-04:00"}) {
    const auto window = Window::parse(wrong);
    ASSERT_FALSE(window) << wrong;
    EXPECT_NE(window.error().message().find("write"), std::string::npos);
  }
}

TEST(Window, OverMidnightBelongsToTheDayItOpens) {
  const Window window = *Window::parse("Sat 22:00-06:00");
  EXPECT_FALSE(window.contains({5, 21 * 60 + 59}));
  EXPECT_TRUE(window.contains({5, 22 * 60}));
  EXPECT_TRUE(window.contains({6, 5 * 60 + 59}));
  EXPECT_FALSE(window.contains({6, 6 * 60}));
  EXPECT_FALSE(window.contains({5, 60}));
}

TEST(Window, NoneIsAlwaysOpen) { EXPECT_TRUE(is_open({}, {3, 700})); }

TEST(Window, LeftOutByTheClocksItDoesNotOpen) {
  const In berlin(kBerlin);
  const auto all = windows({"02:00-03:00"});
  for (std::int64_t at = kForward; at < kForward + kDay - 2 * kHour; at += kMinute)
    ASSERT_FALSE(is_open(all, local_time(at))) << at;
  // The next day at 02:00, which is 00:00 UTC by then.
  EXPECT_EQ(opens_at(all, kForward), kForward + kDay);
}

TEST(Window, InTheHourThatComesTwiceItIsOpenTwice) {
  const In berlin(kBerlin);
  const auto all = windows({"02:00-03:00"});
  int open = 0;
  for (std::int64_t at = kBack - 2 * kHour; at < kBack + 20 * kHour; at += kMinute)
    open += is_open(all, local_time(at)) ? 1 : 0;
  EXPECT_EQ(open, 120);
}

TEST(Window, OverBothChangesOpensAtIsAnOpenMinuteAndTheFirst) {
  const In berlin(kBerlin);
  const auto all = windows({"Sun 01:30-03:30", "Mon-Fri 23:00-01:00"});
  for (const std::int64_t change : {kForward, kBack}) {
    for (std::int64_t at = change - 2 * kDay; at < change + 2 * kDay; at += 7 * kMinute) {
      const auto opens = opens_at(all, at);
      ASSERT_TRUE(opens);
      ASSERT_GT(*opens, at);
      ASSERT_TRUE(is_open(all, local_time(*opens)));
      ASSERT_FALSE(is_open(all, local_time(*opens - kMinute))) << at;
      // Closed all the time in between, once it has closed.
      bool was_closed = !is_open(all, local_time(at));
      for (std::int64_t between = at + kMinute - at % kMinute; between < *opens; between += kMinute) {
        const bool open = is_open(all, local_time(between));
        ASSERT_FALSE(was_closed && open) << at;
        was_closed = was_closed || !open;
      }
    }
  }
}

}  // namespace
}  // namespace otagate::rollout
