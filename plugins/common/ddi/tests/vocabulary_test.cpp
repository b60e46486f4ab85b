#include "common/ddi/vocabulary.hpp"

#include <gtest/gtest.h>

namespace otagate::common::ddi {
namespace {

TEST(DdiVocabulary, ReadsAndWritesHowLongToSleep) {
  EXPECT_EQ(parse_sleep("00:05:00"), 300u);
  EXPECT_EQ(parse_sleep("00:00:30"), 30u);
  EXPECT_EQ(parse_sleep("23:59:59"), 86399u);
  for (const char* wrong : {"", "5", "00:05", "0:05:00", "00:60:00", "00:00:60", "00-05-00", "-1:00:00",
                            "00:05:00 ", "00:05:0x", "PT5M"}) {
    EXPECT_EQ(parse_sleep(wrong), std::nullopt) << wrong;
  }
  for (const std::uint64_t seconds : {0u, 5u, 61u, 3599u, 86399u, 359999u}) {
    EXPECT_EQ(parse_sleep(format_sleep(seconds)), seconds);
  }
  EXPECT_EQ(format_sleep(1'000'000), "99:59:59");
}

TEST(DdiVocabulary, NamesEachWordOnce) {
  for (const auto& [word, value] : kExecutions) {
    EXPECT_EQ(parse_word(kExecutions, word), value);
    EXPECT_EQ(word_of(kExecutions, value), word);
  }
  EXPECT_EQ(parse_word(kFinished, "SUCCESS"), std::nullopt);
  EXPECT_EQ(word_of(kConfirmations, false), "denied");
}

TEST(DdiVocabulary, CallsTheApplicationOs) {
  EXPECT_EQ(part_name("application"), "os");
  EXPECT_EQ(part_name(""), "os");
  EXPECT_EQ(part_name("modem"), "modem");
  EXPECT_EQ(component_name("os"), "application");
  EXPECT_EQ(component_name("bApp"), "bApp");
}

}  // namespace
}  // namespace otagate::common::ddi
