#include "core/problem.hpp"

#include <gtest/gtest.h>

namespace otagate {
namespace {

TEST(DidYouMean, TakesTheNearestWithinAThirdOfTheWord) {
  const std::vector<std::string> keys = {"interval", "priority", "prefetch", "plugin"};
  EXPECT_EQ(did_you_mean("intervall", keys), "interval");
  EXPECT_EQ(did_you_mean("pirority", keys), "priority");
  EXPECT_EQ(did_you_mean("PLUGIN", keys), "plugin");
  EXPECT_EQ(did_you_mean("bandwidth", keys), "");
  EXPECT_EQ(did_you_mean("warning", {"error", "warn"}), "warn");
  EXPECT_EQ(did_you_mean("", keys), "");
  EXPECT_EQ(did_you_mean(std::string(100'000, 'p'), keys), "");
}

TEST(DidYouMean, TreatsDashAndUnderscoreAlike) {
  EXPECT_EQ(did_you_mean("max-size", {"max_size"}), "max_size");
}

TEST(Problem, SaysPlaceKeyMessageAndAdvice) {
  const Problem problem{{"a.toml", 3, 7}, "cache.ttl", "is wrong", "write 5m"};
  EXPECT_EQ(problem.to_string(), "a.toml:3:7: cache.ttl: is wrong; write 5m");
  EXPECT_EQ(to_error({problem, problem}).code(), Code::invalid);
}

}  // namespace
}  // namespace otagate
