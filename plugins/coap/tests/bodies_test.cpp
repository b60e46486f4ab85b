#include "bodies.hpp"

#include <string>

#include <gtest/gtest.h>

namespace otagate::coap {
namespace {

using std::chrono::seconds;

class BodiesTest : public testing::Test {
 protected:
  Bodies::Outcome add(std::uint32_t number, bool more, std::string_view text, std::uint64_t what = 1,
                      std::uint16_t port = 1) {
    peer.port = port;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    return bodies.add(peer, what, Block{.number = number, .more = more, .szx = 0}, {bytes, text.size()}, now,
                      whole);
  }

  Bodies bodies;
  Peer peer;
  Bodies::Clock::time_point now{};
  std::string whole;
  const std::string a = std::string(16, 'a'), b = std::string(16, 'b');
};

TEST_F(BodiesTest, PutsBlocksTogetherInOrder) {
  EXPECT_EQ(add(0, true, a), Bodies::Outcome::kMore);
  EXPECT_EQ(add(1, true, b), Bodies::Outcome::kMore);
  EXPECT_EQ(add(2, false, "c"), Bodies::Outcome::kComplete);
  EXPECT_EQ(whole, a + b + "c");
  EXPECT_TRUE(bodies.empty());
}

TEST_F(BodiesTest, OneBlockIsABody) {
  EXPECT_EQ(add(0, false, "x"), Bodies::Outcome::kComplete);
  EXPECT_EQ(whole, "x");
}

TEST_F(BodiesTest, ABlockThatCameTwiceCountsOnce) {
  add(0, true, a);
  add(1, true, b);
  EXPECT_EQ(add(1, true, b), Bodies::Outcome::kMore);
  EXPECT_EQ(add(2, false, ""), Bodies::Outcome::kComplete);
  EXPECT_EQ(whole, a + b);
}

TEST_F(BodiesTest, AGapOrAnotherPathStartsOver) {
  add(0, true, a);
  EXPECT_EQ(add(2, true, b), Bodies::Outcome::kIncomplete);
  EXPECT_EQ(add(1, true, b), Bodies::Outcome::kIncomplete) << "what was there is gone";
  add(0, true, a);
  EXPECT_EQ(add(1, false, b, 2), Bodies::Outcome::kIncomplete);
  EXPECT_EQ(add(1, false, b, 1, 9), Bodies::Outcome::kIncomplete) << "another peer";
  EXPECT_TRUE(bodies.empty());
}

TEST_F(BodiesTest, ABlockIsAsLongAsItSays) {
  EXPECT_EQ(add(0, true, "short"), Bodies::Outcome::kMalformed);
  EXPECT_EQ(add(0, false, a + "x"), Bodies::Outcome::kMalformed);
  add(0, true, a);
  EXPECT_EQ(add(1, true, ""), Bodies::Outcome::kMalformed);
  EXPECT_TRUE(bodies.empty());
}

TEST_F(BodiesTest, IsBounded) {
  const auto blocks = static_cast<std::uint32_t>(Bodies::kMaxBody / 16);
  for (std::uint32_t number = 0; number < blocks; ++number) {
    ASSERT_EQ(add(number, true, a), Bodies::Outcome::kMore);
  }
  EXPECT_EQ(add(blocks, false, "x"), Bodies::Outcome::kTooLarge);
  EXPECT_EQ(add(0xFFFFF, false, "x"), Bodies::Outcome::kTooLarge);
  for (std::uint16_t port = 1; port <= Bodies::kMaxOpen; ++port) {
    ASSERT_EQ(add(0, true, a, 1, port), Bodies::Outcome::kMore);
  }
  EXPECT_EQ(add(0, true, a, 1, 999), Bodies::Outcome::kBusy);
  EXPECT_EQ(add(0, false, "x", 1, 999), Bodies::Outcome::kComplete) << "that needs no room";
  EXPECT_EQ(add(0, true, b, 2, 1), Bodies::Outcome::kMore) << "the place of his own last one";
  now += Bodies::kIdle + seconds(1);
  EXPECT_EQ(add(1, true, a, 1, 5), Bodies::Outcome::kIncomplete) << "too late";
  EXPECT_EQ(add(0, true, a, 1, 999), Bodies::Outcome::kMore);
}

}  // namespace
}  // namespace otagate::coap
