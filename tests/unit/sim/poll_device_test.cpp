#include <gtest/gtest.h>

#include "protocols.hpp"
#include "support.hpp"

namespace otagate::sim {
namespace {

const std::string kImage(40'000, 'x');

std::string offer() {
  return R"({"version":"1.1.0","url":"/firmware/app/1.1.0","size":40000,"sha256":")" + sha256_of(kImage) +
         R"(","deployment":17})";
}

Habits quick() {
  Habits habits;
  habits.poll_interval = Milliseconds(1'000);
  return habits;
}

TEST(PollDevice, AsksInTheWordsOfTheProtocol) {
  const auto habits = quick();
  auto profile = profile_of(habits);
  profile.id = "line 3/a";
  profile.token = "secret";
  Talk talk(make_poll_device(profile));
  EXPECT_EQ(talk.asks().method, Method::get);
  EXPECT_EQ(talk.asks().target, "/v1/devices/line%203%2Fa/update?version=1.0.0&type=sensor");
  EXPECT_EQ(talk.asks().authorization, "Bearer secret");
  EXPECT_TRUE(talk.asks().check_in);
  talk.hears(204);
  const auto time = talk.rests();
  EXPECT_GE(time, Milliseconds(900));
  EXPECT_LE(time, Milliseconds(1'100));
  EXPECT_EQ(talk.asks().method, Method::get);
}

// From the offer to the report of success, word by word.
TEST(PollDevice, UpdatesItself) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits)));
  talk.hears(200, offer());
  EXPECT_EQ(talk.asks().target, "/v1/devices/sim-0/report");
  EXPECT_EQ(talk.asks().body, R"({"deployment":17,"state":"downloading","version":"1.0.0","offset":0})");
  talk.hears(204);
  EXPECT_EQ(talk.asks().target, "/firmware/app/1.1.0");
  EXPECT_EQ(talk.asks().range->offset, 0U);
  EXPECT_EQ(talk.asks().range->length, 16'384U);
  talk.gets(kImage);
  EXPECT_EQ(talk.asks().range->offset, 16'384U);
  talk.gets(kImage);
  EXPECT_EQ(talk.asks().range->length, 40'000U - 32'768U);
  talk.gets(kImage);
  EXPECT_EQ(talk.asks().body, R"({"deployment":17,"state":"downloaded","version":"1.0.0"})");
  talk.hears(204);
  EXPECT_EQ(talk.asks().body, R"({"deployment":17,"state":"applying","version":"1.0.0"})");
  EXPECT_EQ(talk.device().version(), "1.0.0");
  talk.hears(204);
  EXPECT_EQ(talk.rests(), Milliseconds(3'000));
  EXPECT_EQ(talk.asks().target, "/v1/devices/sim-0/update?version=1.1.0&type=sensor");
  EXPECT_FALSE(talk.device().settled());
  talk.hears(204);
  EXPECT_EQ(talk.asks().body, R"({"deployment":17,"state":"succeeded","version":"1.1.0"})");
  EXPECT_FALSE(talk.device().settled());
  talk.hears(204);
  EXPECT_TRUE(talk.device().settled());
  EXPECT_EQ(talk.record().checked, 1U);
  EXPECT_EQ(talk.record().bytes, 40'000U);
  EXPECT_TRUE(talk.record().violations.empty());
}

TEST(PollDevice, SaysAgainWhatWasNotAnswered) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits)));
  talk.hears(200, offer());
  const auto body = talk.asks().body;
  talk.hears_nothing();
  talk.rests();
  EXPECT_EQ(talk.asks().body, body);
  talk.hears(503);
  talk.rests();
  EXPECT_EQ(talk.asks().body, body);
  EXPECT_EQ(talk.record().unanswered, 1U);
}

// What reaches an image with other bytes: told, and never swapped to.
TEST(PollDevice, RefusesAnImageWithAnotherDigest) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits)));
  talk.hears(200, offer());
  talk.hears(204);
  const std::string other(40'000, 'y');
  for (int i = 0; i < 3; ++i) talk.gets(other);
  EXPECT_NE(talk.asks().body.find(R"("state":"failed")"), std::string::npos) << talk.asks().body;
  talk.hears(204);
  EXPECT_FALSE(talk.device().settled());
  EXPECT_EQ(talk.record().mismatched, 1U);
  EXPECT_EQ(talk.device().version(), "1.0.0");
}

TEST(PollDevice, RevertsAsItsDiceSay) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits, End::reverts)));
  talk.hears(200, offer());
  talk.hears(204);
  for (int i = 0; i < 3; ++i) talk.gets(kImage);
  talk.hears(204);
  talk.hears(204);
  talk.rests();
  EXPECT_EQ(talk.asks().target, "/v1/devices/sim-0/update?version=1.0.0&type=sensor");
  talk.hears(204);
  EXPECT_TRUE(talk.device().settled());
  EXPECT_TRUE(talk.resting());
}

TEST(PollDevice, FailsAsItsDiceSay) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits, End::fails)));
  talk.hears(200, offer());
  talk.hears(204);
  for (int i = 0; i < 3; ++i) talk.gets(kImage);
  talk.hears(204);
  EXPECT_EQ(talk.asks().body, R"({"deployment":17,"state":"failed","version":"1.0.0","code":7,)"
                              R"("message":"the simulated device was told to fail"})");
  EXPECT_FALSE(talk.device().settled());
  talk.hears(204);
  EXPECT_TRUE(talk.device().settled());
}

TEST(PollDevice, FallsSilentInTheMiddle) {
  const auto habits = quick();
  auto profile = profile_of(habits, End::silent);
  profile.fate.silent_at = 0.4;  // half of the image
  Talk talk(make_poll_device(profile));
  talk.hears(200, offer());
  talk.hears(204);
  talk.gets(kImage);
  EXPECT_FALSE(talk.left());
  talk.gets(kImage);
  EXPECT_TRUE(talk.left());
  EXPECT_TRUE(talk.device().settled());
}

TEST(PollDevice, CrashesOnceAndGoesOn) {
  for (const bool forgets : {false, true}) {
    const auto habits = quick();
    auto profile = profile_of(habits);
    profile.fate.crashes = true;
    profile.fate.crash_at = 0.3;
    profile.fate.forgets = forgets;
    Talk talk(make_poll_device(profile));
    talk.hears(200, offer());
    talk.hears(204);
    talk.gets(kImage);
    EXPECT_EQ(talk.rests(), Milliseconds(5'000));
    EXPECT_TRUE(talk.asks().check_in);
    talk.hears(200, offer());
    EXPECT_NE(talk.asks().body.find(forgets ? R"("offset":0)" : R"("offset":16384)"), std::string::npos);
    talk.hears(204);
    EXPECT_EQ(talk.asks().range->offset, forgets ? 0U : 16'384U);
    while (talk.asks().range) talk.gets(kImage);
    EXPECT_NE(talk.asks().body.find("downloaded"), std::string::npos);
    EXPECT_EQ(talk.record().checked, 1U);
  }
}

TEST(PollDevice, TakesItsTimeToWriteTheFlash) {
  auto habits = quick();
  habits.flash_rate = 16'384;
  habits.time_scale = 10;
  Talk talk(make_poll_device(profile_of(habits)));
  talk.hears(200, offer());
  talk.hears(204);
  talk.gets(kImage);
  EXPECT_EQ(talk.rests(), Milliseconds(100));
}

TEST(PollDevice, StopsWhenItsReportIsRefused) {
  const auto habits = quick();
  Talk talk(make_poll_device(profile_of(habits)));
  talk.hears(200, offer());
  talk.hears(409);
  talk.rests();
  EXPECT_TRUE(talk.asks().check_in);
  EXPECT_FALSE(talk.device().busy());
}

TEST(PollDevice, SaysWhatIsWrongWithAnOffer) {
  const auto habits = quick();
  for (const auto* bad : {"[]", "{", "{}", R"({"version":"1.1.0","url":"/x","size":-1,"sha256":"00"})",
                          R"({"version":"1.1.0","url":"/x","size":5})"}) {
    Talk talk(make_poll_device(profile_of(habits)));
    talk.hears(200, bad);
    EXPECT_EQ(talk.record().violations.size(), 1U) << bad;
    EXPECT_TRUE(talk.resting()) << bad;
  }
}

TEST(PollDevice, HasNothingToDoOnceItRunsWhatIsExpected) {
  auto habits = quick();
  habits.expect = "1.0.0";
  Talk talk(make_poll_device(profile_of(habits)));
  EXPECT_FALSE(talk.device().settled());
  talk.hears(204);
  EXPECT_TRUE(talk.device().settled());
}

}  // namespace
}  // namespace otagate::sim
