#include <gtest/gtest.h>

#include "protocols.hpp"
#include "support.hpp"

namespace otagate::sim {
namespace {

const std::string kCbor = "application/cbor";

Habits quick() {
  Habits habits;
  habits.poll_interval = Milliseconds(1'000);
  return habits;
}

// Write of 1.0.1 with a correlation id below 24, offset below 24 and four bytes.
std::string write(unsigned id, unsigned offset, const std::string& four = "deadbeef") {
  const auto two = [](unsigned value) { return hex(std::string(1, static_cast<char>(value))); };
  return from_hex("a102a40045312e302e3101" + two(id) + "02" + two(offset) + "0344" + four);
}

std::string swap(unsigned id, const std::string& sha256) {
  return from_hex("a103a30045312e302e3101" + hex(std::string(1, static_cast<char>(id))) + "025820" + sha256);
}

std::string sync(const std::string& version, unsigned id) {
  return from_hex("a101a3004" + std::to_string(version.size()) + hex(version) + "01" +
                  hex(std::string(1, static_cast<char>(id))) + "02f6");
}

TEST(DrogueDevice, UpdatesItself) {
  const auto habits = quick();
  Talk talk(make_drogue_device(profile_of(habits), DrogueFormat::packed));
  EXPECT_EQ(talk.asks().method, Method::post);
  EXPECT_EQ(talk.asks().target, "/v1/dfu?device=sim-0&type=sensor");
  EXPECT_EQ(talk.asks().content_type, kCbor);
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020103f6");
  talk.hears(200, write(1, 0), kCbor);
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020203a20045312e302e310104");
  talk.hears(200, write(2, 4), kCbor);
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020303a20045312e302e310108");
  talk.hears(200, swap(3, sha256_of(from_hex("deadbeefdeadbeef"))), kCbor);
  EXPECT_EQ(talk.record().checked, 1U);
  EXPECT_EQ(talk.rests(), Milliseconds(3'000));
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3101190200020403f6");
  talk.hears(200, sync("1.0.1", 4), kCbor);
  EXPECT_TRUE(talk.device().settled());
  EXPECT_TRUE(talk.record().violations.empty()) << talk.record().violations.front();
  EXPECT_TRUE(talk.resting());
}

TEST(DrogueDevice, ShowsItsCredentialAndHowLongItWaits) {
  auto habits = quick();
  habits.long_poll = Milliseconds(30'000);
  auto profile = profile_of(habits);
  profile.token = "pass";
  Talk talk(make_drogue_device(profile, DrogueFormat::named));
  EXPECT_EQ(talk.asks().target, "/v1/dfu?ct=30&type=sensor");
  EXPECT_EQ(talk.asks().authorization, "Basic c2ltLTA6cGFzcw==");
  talk.hears(202);  // nothing in that time
  talk.rests();
  EXPECT_TRUE(talk.record().violations.empty());
}

TEST(DrogueDevice, RevertsAsItsDiceSay) {
  const auto habits = quick();
  Talk talk(make_drogue_device(profile_of(habits, End::reverts), DrogueFormat::packed));
  talk.hears(200, write(1, 0), kCbor);
  talk.hears(200, swap(2, sha256_of(from_hex("deadbeef"))), kCbor);
  talk.rests();
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020303f6");
  EXPECT_FALSE(talk.device().settled());
  talk.hears(200, from_hex("a100a20003010a"), kCbor);
  EXPECT_TRUE(talk.device().settled());
  EXPECT_EQ(talk.device().version(), "1.0.0");
}

TEST(DrogueDevice, StartsAgainWhenItsDiceSayItFails) {
  const auto habits = quick();
  Talk talk(make_drogue_device(profile_of(habits, End::fails), DrogueFormat::packed));
  talk.hears(200, write(1, 0), kCbor);
  talk.hears(200, swap(2, sha256_of(from_hex("deadbeef"))), kCbor);
  talk.rests();
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020303f6");
  talk.hears(200, from_hex("a100a20003010a"), kCbor);
  EXPECT_TRUE(talk.device().settled());
}

TEST(DrogueDevice, RefusesAnImageWithAnotherDigest) {
  const auto habits = quick();
  Talk talk(make_drogue_device(profile_of(habits), DrogueFormat::packed));
  talk.hears(200, write(1, 0), kCbor);
  talk.hears(200, swap(2, sha256_of("another")), kCbor);
  EXPECT_EQ(talk.record().mismatched, 1U);
  talk.rests();
  EXPECT_EQ(hex(talk.asks().body), "a40045312e302e3001190200020303f6");
}

TEST(DrogueDevice, SaysAfterACrashWhatItKept) {
  for (const bool forgets : {false, true}) {
    const auto habits = quick();
    auto profile = profile_of(habits);
    profile.fate.crashes = true;
    profile.fate.crash_at = 0;
    profile.fate.forgets = forgets;
    Talk talk(make_drogue_device(profile, DrogueFormat::packed));
    talk.hears(200, write(1, 0), kCbor);
    EXPECT_EQ(talk.rests(), Milliseconds(5'000));
    EXPECT_EQ(hex(talk.asks().body), forgets ? "a40045312e302e3001190200020203f6"
                                             : "a40045312e302e3001190200020203a20045312e302e310104");
    talk.hears(200, write(2, forgets ? 0 : 4), kCbor);
    EXPECT_TRUE(talk.record().violations.empty());
  }
}

TEST(DrogueDevice, NoticesWhatTheGatewayMustNotDo) {
  const auto habits = quick();
  const auto after = [&](const std::string& command, std::uint32_t mtu = 512) {
    auto narrow = habits;
    narrow.mtu = mtu;
    Talk talk(make_drogue_device(profile_of(narrow), DrogueFormat::packed));
    talk.hears(200, command, kCbor);
    return talk.record().violations.empty() ? std::string() : talk.record().violations.front();
  };
  EXPECT_EQ(after(write(1, 0)), "");
  EXPECT_NE(after(write(2, 0)).find("correlation"), std::string::npos);
  EXPECT_NE(after(write(1, 8)).find("Write at 8"), std::string::npos);
  EXPECT_NE(after(write(1, 0), 2).find("beyond the mtu"), std::string::npos);
  EXPECT_NE(after(swap(1, sha256_of(""))).find("of which it has nothing"), std::string::npos);
  EXPECT_NE(after(sync("1.0.1", 1)).find("but it runs"), std::string::npos);
  EXPECT_NE(after("nonsense").find("cannot be read"), std::string::npos);
}

TEST(DrogueDevice, NoticesABlockThatFlashDoesNotTake) {
  const auto habits = quick();
  Talk talk(make_drogue_device(profile_of(habits), DrogueFormat::packed));
  talk.hears(200, from_hex("a102a40045312e302e31010102000343deadbe"), kCbor);
  EXPECT_TRUE(talk.record().violations.empty());  // it may be the last
  talk.hears(200, write(2, 3), kCbor);
  EXPECT_EQ(talk.record().violations.size(), 1U);
}

}  // namespace
}  // namespace otagate::sim
