#include "block.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace otagate::coap {
namespace {

std::vector<std::uint8_t> encoded(const Block& block) {
  std::array<std::uint8_t, 3> bytes{};
  const auto length = encode_block(block, bytes);
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)};
}

TEST(Block, RoundTripsAtEveryLength) {
  for (const std::uint32_t number : {0U, 1U, 15U, 16U, 4095U, 4096U, kMaxBlockNumber}) {
    for (unsigned szx = 0; szx <= kMaxSzx; ++szx) {
      for (const bool more : {false, true}) {
        const Block block{.number = number, .more = more, .szx = szx};
        EXPECT_EQ(decode_block(encoded(block)), block);
      }
    }
  }
}

TEST(Block, UsesTheShortestForm) {
  EXPECT_TRUE(encoded({.number = 0, .more = false, .szx = 0}).empty());
  EXPECT_EQ(encoded({.number = 0, .more = true, .szx = 6}), (std::vector<std::uint8_t>{0x0e}));
  EXPECT_EQ(encoded({.number = 15, .more = false, .szx = 5}), (std::vector<std::uint8_t>{0xf5}));
  EXPECT_EQ(encoded({.number = 16, .more = false, .szx = 5}), (std::vector<std::uint8_t>{0x01, 0x05}));
}

TEST(Block, RefusesTheReservedSizeAndLongValues) {
  EXPECT_FALSE(decode_block(std::array<std::uint8_t, 1>{0x07}));
  EXPECT_FALSE(decode_block(std::array<std::uint8_t, 4>{0, 0, 0, 6}));
}

TEST(Cut, GivesTheBlockThatWasAskedFor) {
  const auto slice = cut({.number = 2, .more = false, .szx = 6}, kMaxSzx, 5000);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->offset, 2048U);
  EXPECT_EQ(slice->length, 1024U);
  EXPECT_EQ(slice->reply, (Block{.number = 2, .more = true, .szx = 6}));
}

TEST(Cut, EndsWithAShortBlock) {
  const auto slice = cut({.number = 4, .more = false, .szx = 6}, kMaxSzx, 5000);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->length, 904U);
  EXPECT_FALSE(slice->reply.more);
}

TEST(Cut, SaysThatAFullLastBlockIsTheLast) {
  const auto slice = cut({.number = 4, .more = false, .szx = 6}, kMaxSzx, 5 * 1024);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->length, 1024U);
  EXPECT_FALSE(slice->reply.more);
  EXPECT_FALSE(cut({.number = 5, .more = false, .szx = 6}, kMaxSzx, 5 * 1024));
}

TEST(Cut, LowersTheSizeAndScalesTheNumber) {
  const auto slice = cut({.number = 3, .more = false, .szx = 6}, 5, 100'000);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->offset, 3072U);
  EXPECT_EQ(slice->length, 512U);
  EXPECT_EQ(slice->reply, (Block{.number = 6, .more = true, .szx = 5}));
}

TEST(Cut, NeverRaisesTheSize) {
  const auto slice = cut({.number = 3, .more = false, .szx = 2}, 6, 100'000);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->length, 64U);
  EXPECT_EQ(slice->reply.szx, 2U);
}

TEST(Cut, RefusesANumberThatGrowsBeyondTwentyBits) {
  EXPECT_FALSE(cut({.number = kMaxBlockNumber, .more = false, .szx = 6}, 5, std::uint64_t{1} << 40));
  EXPECT_TRUE(cut({.number = kMaxBlockNumber, .more = false, .szx = 6}, 6, std::uint64_t{1} << 40));
}

TEST(Cut, HasBlockZeroOfNothing) {
  const auto slice = cut({}, kMaxSzx, 0);
  ASSERT_TRUE(slice);
  EXPECT_EQ(slice->length, 0U);
  EXPECT_FALSE(slice->reply.more);
  EXPECT_FALSE(cut({.number = 1, .more = false, .szx = 6}, kMaxSzx, 0));
}

TEST(Cut, TilesABodyWithoutGapOrOverlap) {
  for (const std::uint64_t total : {1U, 15U, 16U, 17U, 1000U, 1024U, 1025U}) {
    for (unsigned szx = 0; szx <= kMaxSzx; ++szx) {
      std::uint64_t at = 0;
      for (std::uint32_t number = 0;; ++number) {
        const auto slice = cut({.number = number, .more = false, .szx = szx}, kMaxSzx, total);
        ASSERT_TRUE(slice);
        EXPECT_EQ(slice->offset, at);
        at += slice->length;
        if (!slice->reply.more) break;
      }
      EXPECT_EQ(at, total);
    }
  }
}

TEST(SzxOf, KnowsTheSevenSizes) {
  EXPECT_EQ(szx_of(16), 0U);
  EXPECT_EQ(szx_of(1024), 6U);
  EXPECT_FALSE(szx_of(0));
  EXPECT_FALSE(szx_of(100));
  EXPECT_FALSE(szx_of(2048));
}

TEST(FittingSzx, TakesTheLargestThatFits) {
  EXPECT_EQ(fitting_szx(1152, 40, 6), 6U);
  EXPECT_EQ(fitting_szx(1152, 40, 3), 3U);
  EXPECT_EQ(fitting_szx(105, 31, 6), 2U);
  EXPECT_FALSE(fitting_szx(46, 31, 6));
}

TEST(OptionBytes, CountsExtendedDeltasAndLengths) {
  EXPECT_EQ(option_bytes(0, 4, 8), 9U);
  EXPECT_EQ(option_bytes(0, 23, 3), 5U);
  EXPECT_EQ(option_bytes(0, 292, 1), 4U);
  EXPECT_EQ(option_bytes(11, 11, 13), 15U);
}

}  // namespace
}  // namespace otagate::coap
