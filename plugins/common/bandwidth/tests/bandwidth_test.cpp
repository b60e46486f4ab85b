#include "common/bandwidth/bandwidth.hpp"

#include <gtest/gtest.h>

namespace otagate::plugins {
namespace {

TEST(Bandwidth, WithoutALimitAllGoes) {
  Bandwidth none(0);
  EXPECT_EQ(none.take(1 << 30, 1), 1U << 30);
  EXPECT_EQ(none.reserve(1 << 30, 1, 0), 0U);
}

TEST(Bandwidth, GivesWhatASecondBringsInShares) {
  Bandwidth limit(8000);
  EXPECT_EQ(limit.take(5000, 1000), 1000U);  // an eighth
  std::uint64_t sum = 1000;
  while (const std::uint64_t got = limit.take(5000, 1000)) sum += got;
  EXPECT_EQ(sum, 8000U);
  EXPECT_EQ(limit.take(5000, 1100), 800U);
  EXPECT_EQ(limit.take(5000, 1100), 0U);
  limit.give_back(300);
  EXPECT_EQ(limit.take(5000, 1100), 300U);
}

// However often it is asked, and however small the steps of time are.
TEST(Bandwidth, KeepsTheRateOverTime) {
  Bandwidth limit(1500);
  std::uint64_t sent = 0;
  for (std::uint64_t now = 1; now <= 10'000; ++now) sent += limit.take(100, now);
  EXPECT_LE(sent, 1500U * 11);
  EXPECT_GE(sent, 1500U * 10);
}

TEST(Bandwidth, BooksAhead) {
  Bandwidth limit(1000);
  EXPECT_EQ(limit.reserve(1000, 1, 10'000), 0U);
  EXPECT_EQ(limit.reserve(500, 1, 10'000), 500U);
  EXPECT_EQ(limit.reserve(500, 1, 10'000), 1000U);
  EXPECT_EQ(limit.reserve(500, 1, 1000), 1500U);  // too late: not booked
  EXPECT_EQ(limit.reserve(500, 1, 10'000), 1500U);
  EXPECT_EQ(limit.reserve(500, 1501, 10'000), 500U);
}

// Idle for long, it has no more than a second's worth.
TEST(Bandwidth, DoesNotSaveUp) {
  Bandwidth limit(1000);
  EXPECT_EQ(limit.reserve(1000, 1, 0), 0U);
  EXPECT_EQ(limit.reserve(1000, 1'000'000, 0), 0U);
  EXPECT_EQ(limit.reserve(1000, 1'000'000, 10'000), 1000U);
}

}  // namespace
}  // namespace otagate::plugins
