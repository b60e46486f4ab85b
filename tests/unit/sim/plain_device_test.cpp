#include <gtest/gtest.h>

#include "protocols.hpp"
#include "support.hpp"

namespace otagate::sim {
namespace {

TEST(PlainDevice, FetchesWhatItWasToldAndReportsNothing) {
  Habits habits;
  habits.poll_interval = Milliseconds(1'000);
  habits.firmware = "app/1.1.0";
  const std::string image(2'500, 'z');
  Talk talk(make_plain_device(profile_of(habits)));
  EXPECT_EQ(talk.asks().target, "/firmware?name=app&limit=1000");
  talk.hears(200, R"({"items":[],"next":null})");
  talk.rests();
  talk.hears(200, R"({"items":[{"name":"app","version":"1.0.0","type":"sensor","size":1,"sha256":"00"},
    {"name":"app","version":"1.1.0","type":"other","size":2500,"sha256":"00"},
    {"name":"app","version":"1.1.0","type":"sensor","size":2500,"sha256":")" +
                      sha256_of(image) + R"("}],"next":null})");
  EXPECT_EQ(talk.asks().target, "/firmware/app/1.1.0/sensor");
  EXPECT_EQ(talk.asks().range->length, 1'024U);
  while (talk.asks().range) {
    talk.gets(image);
    if (talk.resting()) break;
  }
  EXPECT_EQ(talk.record().checked, 1U);
  EXPECT_EQ(talk.rests(), Milliseconds(3'000));
  EXPECT_EQ(talk.device().version(), "1.1.0");
  talk.hears(200, R"({"items":[],"next":null})");
  EXPECT_TRUE(talk.device().settled());
  EXPECT_TRUE(talk.resting());
}

}  // namespace
}  // namespace otagate::sim
