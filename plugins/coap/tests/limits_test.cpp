#include <gtest/gtest.h>

#include "echo.hpp"
#include "rate.hpp"

namespace otagate::coap {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Peer peer(std::uint32_t number, std::uint16_t port = 5683) {
  Peer out;
  for (int i = 0; i < 4; ++i)
    out.address[static_cast<std::size_t>(15 - i)] = static_cast<std::uint8_t>(number >> (8 * i));
  out.port = port;
  return out;
}

TEST(EchoTokens, IsGoodForOneToTwoMinutes) {
  const EchoTokens tokens;
  const EchoTokens::Clock::time_point start{seconds(600)};
  const auto token = tokens.make(peer(1), start);
  EXPECT_TRUE(tokens.valid(token, peer(1), start));
  EXPECT_TRUE(tokens.valid(token, peer(1), start + seconds(119)));
  EXPECT_FALSE(tokens.valid(token, peer(1), start + seconds(120)));
}

TEST(EchoTokens, IsGoodForItsPeerOnly) {
  const EchoTokens tokens;
  const EchoTokens::Clock::time_point now{seconds(600)};
  const auto token = tokens.make(peer(1), now);
  EXPECT_FALSE(tokens.valid(token, peer(2), now));
  EXPECT_FALSE(tokens.valid(token, peer(1, 1), now));
}

TEST(EchoTokens, RefusesForgeriesAndTokensOfAnEarlierRun) {
  const EchoTokens tokens;
  const EchoTokens earlier;
  const EchoTokens::Clock::time_point now{seconds(600)};
  auto token = tokens.make(peer(1), now);
  EXPECT_FALSE(tokens.valid(earlier.make(peer(1), now), peer(1), now));
  EXPECT_FALSE(tokens.valid(std::span(token).first(7), peer(1), now));
  EXPECT_FALSE(tokens.valid({}, peer(1), now));
  token[7] ^= 1;
  EXPECT_FALSE(tokens.valid(token, peer(1), now));
}

TEST(SourceRate, AllowsTheRateAndABurst) {
  SourceRate rate(10, 1);
  SourceRate::Clock::time_point now{};
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(rate.allow(peer(1), now));
  EXPECT_FALSE(rate.allow(peer(1), now));
  now += milliseconds(100);
  EXPECT_TRUE(rate.allow(peer(1), now));
  EXPECT_FALSE(rate.allow(peer(1), now));
}

TEST(SourceRate, CountsAddressesNotPorts) {
  SourceRate rate(1, 1);
  const SourceRate::Clock::time_point now{};
  EXPECT_TRUE(rate.allow(peer(1, 1), now));
  EXPECT_TRUE(rate.allow(peer(1, 2), now));
  EXPECT_FALSE(rate.allow(peer(1, 3), now));
  EXPECT_TRUE(rate.allow(peer(2, 3), now));
}

TEST(SourceRate, ForgetsTheQuietestWhenFull) {
  SourceRate rate(1, 1);
  SourceRate::Clock::time_point now{};
  while (rate.allow(peer(1), now)) {
  }
  // Far more sources than there are places: the first one's is taken.
  for (std::uint32_t i = 2; i < 100'000; ++i) rate.allow(peer(i), now + milliseconds(1));
  EXPECT_TRUE(rate.allow(peer(1), now + milliseconds(2)));
}

TEST(SourceRate, HasNoLimitAtZero) {
  SourceRate rate(0, 1);
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(rate.allow(peer(1), {}));
}

}  // namespace
}  // namespace otagate::coap
