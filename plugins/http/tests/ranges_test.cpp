#include "http/ranges.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace otagate::http {
namespace {

using testing::ElementsAre;

std::vector<std::string> parts(const RangeSet& set) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < set.count; ++i) {
    out.push_back(std::to_string(set.ranges[i].offset) + "+" + std::to_string(set.ranges[i].length));
  }
  return out;
}

RangeOutcome outcome(std::string_view header, std::uint64_t size = 100) {
  return parse_range(header, size).outcome;
}

TEST(ParseRange, TakesClosedOpenAndSuffixRanges) {
  EXPECT_THAT(parts(parse_range("bytes=0-0", 100)), ElementsAre("0+1"));
  EXPECT_THAT(parts(parse_range("bytes=10-19", 100)), ElementsAre("10+10"));
  EXPECT_THAT(parts(parse_range("bytes=10-", 100)), ElementsAre("10+90"));
  EXPECT_THAT(parts(parse_range("bytes=-10", 100)), ElementsAre("90+10"));
  EXPECT_THAT(parts(parse_range("Bytes = 1-2", 100)), ElementsAre("1+2"));
}

TEST(ParseRange, CutsAtTheEnd) {
  EXPECT_THAT(parts(parse_range("bytes=90-1000", 100)), ElementsAre("90+10"));
  EXPECT_THAT(parts(parse_range("bytes=-1000", 100)), ElementsAre("0+100"));
}

TEST(ParseRange, TheWholeAsARangeIsStillPartial) {
  EXPECT_EQ(outcome("bytes=0-"), RangeOutcome::kPartial);
  EXPECT_EQ(outcome("bytes=0-99"), RangeOutcome::kPartial);
}

TEST(ParseRange, NothingInReachIsUnsatisfiable) {
  EXPECT_EQ(outcome("bytes=100-"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=100-200,300-"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=-0"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=0-", 0), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=-5", 0), RangeOutcome::kUnsatisfiable);
}

TEST(ParseRange, DropsWhatLiesBeyondWhenSomethingElseIsInReach) {
  EXPECT_THAT(parts(parse_range("bytes=200-300, 5-6", 100)), ElementsAre("5+2"));
}

TEST(ParseRange, KeepsTheOrderOfSeveral) {
  EXPECT_THAT(parts(parse_range("bytes=50-59, ,0-9,-5", 100)), ElementsAre("50+10", "0+10", "95+5"));
}

TEST(ParseRange, MalformedIsIgnored) {
  for (const char* header : {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5-2", "bytes=a-b",
                             "bytes=1-2-3", "bytes=+1-2", "bytes=1-2;q", "bytes=0x1-2", "lines=1-2",
                             "bytes=1", "bytes 1-2", "=1-2", "bytes==1-2", "bytes=1 -2", "bytes=0-1,x"}) {
    EXPECT_EQ(outcome(header), RangeOutcome::kWhole) << header;
  }
}

// CVE-2017-7529 and its kind: sums and differences of huge numbers.
TEST(ParseRange, HugeNumbersNeverWrap) {
  EXPECT_EQ(outcome("bytes=18446744073709551616-"), RangeOutcome::kUnsatisfiable);
  EXPECT_THAT(parts(parse_range("bytes=0-18446744073709551616", 100)), ElementsAre("0+100"));
  EXPECT_THAT(parts(parse_range("bytes=-9223372036854775808", 100)), ElementsAre("0+100"));
  EXPECT_EQ(outcome("bytes=-9223372036854775808,-9223372036854775807"), RangeOutcome::kWhole);
  EXPECT_THAT(parts(parse_range("bytes=0-18446744073709551615", UINT64_MAX)),
              ElementsAre("0+18446744073709551615"));
}

TEST(ParseRange, ManyOrOverlappingRangesAreIgnored) {
  std::string many = "bytes=0-0";
  for (std::size_t i = 1; i < kMaxRanges; ++i)
    many += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  EXPECT_EQ(parse_range(many, 100).count, kMaxRanges);
  many += ",90-90";
  EXPECT_EQ(outcome(many), RangeOutcome::kWhole);
  EXPECT_EQ(outcome("bytes=0-10,10-20"), RangeOutcome::kWhole);
  EXPECT_EQ(outcome("bytes=0-,0-"), RangeOutcome::kWhole);
  EXPECT_THAT(parts(parse_range("bytes=0-9,10-19", 100)), ElementsAre("0+10", "10+10"));
}

}  // namespace
}  // namespace otagate::http
