#include "rollout/amount.hpp"

#include <gtest/gtest.h>

namespace otagate::rollout {
namespace {

TEST(Amount, IsACountOrAShare) {
  EXPECT_EQ(*Amount::parse("25"), (Amount{25, false}));
  EXPECT_EQ(*Amount::parse("10%"), (Amount{10, true}));
  EXPECT_EQ(Amount::parse("10%")->text(), "10%");
  for (const char* wrong : {"", "0", "0%", "101%", "-1", "1.5", "ten", "10 %", "%", "4294967296"}) {
    const auto amount = Amount::parse(wrong);
    ASSERT_FALSE(amount) << wrong;
    EXPECT_NE(amount.error().message().find("write"), std::string::npos);
  }
}

TEST(Amount, AShareIsRoundedUpAndNeverMoreThanAll) {
  EXPECT_EQ((Amount{10, true}).of(1), 1U);
  EXPECT_EQ((Amount{10, true}).of(11), 2U);
  EXPECT_EQ(Amount::all().of(4'000'000'000U), 4'000'000'000U);
  EXPECT_EQ((Amount{25, false}).of(7), 7U);
  EXPECT_EQ((Amount{10, true}).of(0), 0U);
}

}  // namespace
}  // namespace otagate::rollout
