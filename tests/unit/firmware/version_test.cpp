#include "firmware/version.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace otagate::firmware {
namespace {

TEST(Normalise, DropsAVThatStandsBeforeADigit) {
  EXPECT_EQ(normalise("v1.2.3"), "1.2.3");
  EXPECT_EQ(normalise("V1"), "1");
  for (const char* same : {"1.2.3", "v", "vv1", "version1", ""}) EXPECT_EQ(normalise(same), same);
}

struct Shaped {
  const char* text;
  VersionShape shape;
};
constexpr Shaped kShapes[] = {

    // semver.org's own examples, valid ...
    Shaped{"0.0.4", VersionShape::semantic}, Shaped{"1.2.3", VersionShape::semantic},
    Shaped{"10.20.30", VersionShape::semantic}, Shaped{"1.1.2-prerelease+meta", VersionShape::semantic},
    Shaped{"1.1.2+meta", VersionShape::semantic}, Shaped{"1.0.0-alpha", VersionShape::semantic},
    Shaped{"1.0.0-alpha.beta.1", VersionShape::semantic},
    Shaped{"1.0.0-alpha0.valid", VersionShape::semantic},
    Shaped{"1.0.0-rc.1+build.123", VersionShape::semantic},
    Shaped{"1.2.3-SNAPSHOT-123", VersionShape::semantic}, Shaped{"1.0.0-0A.is.legal", VersionShape::semantic},
    Shaped{"1.2.3----RC-SNAPSHOT.12.9.1--.12", VersionShape::semantic},
    Shaped{"1.2.3+001", VersionShape::semantic}, Shaped{"1.2.3-0", VersionShape::semantic},
    Shaped{"99999999999999999999999.999999999999999999.99999999", VersionShape::semantic},
    // ... and not: what remains of them is at most dotted.
    Shaped{"1", VersionShape::integer}, Shaped{"1.2", VersionShape::dotted},
    Shaped{"1.2.3-0123", VersionShape::dotted}, Shaped{"1.2.3-0123.0123", VersionShape::dotted},
    Shaped{"01.1.1", VersionShape::dotted}, Shaped{"1.01.1", VersionShape::dotted},
    Shaped{"1.1.2+.123", VersionShape::dotted}, Shaped{"+invalid", VersionShape::none},
    Shaped{"-invalid", VersionShape::none}, Shaped{"alpha", VersionShape::none},
    Shaped{"1.2.3.DEV", VersionShape::none}, Shaped{"1.2-SNAPSHOT", VersionShape::dotted},
    Shaped{"1.2.3-", VersionShape::none}, Shaped{"1.2.3+", VersionShape::none},
    Shaped{"1.2.3-a..b", VersionShape::dotted},
    // What other schemes use.
    Shaped{"v1.2.3", VersionShape::semantic}, Shaped{"42", VersionShape::integer},
    Shaped{"2023.01", VersionShape::dotted}, Shaped{"2023.01+dfsg-2+deb12u1", VersionShape::dotted},
    Shaped{"2023.01-rc3", VersionShape::dotted}, Shaped{"4.2rc1", VersionShape::dotted},
    Shaped{"1.2.3.4", VersionShape::dotted}, Shaped{"4-uboot", VersionShape::none},
    Shaped{"1.", VersionShape::none}, Shaped{".1", VersionShape::none}, Shaped{"", VersionShape::none},
    Shaped{"1.2.3_4", VersionShape::none}, Shaped{"1.2.3 ", VersionShape::none},
    Shaped{"1..2", VersionShape::none}};

TEST(ShapeOfVersion, IsAsInTheTable) {
  for (const Shaped& row : kShapes) EXPECT_EQ(shape(row.text), row.shape) << row.text;
}

TEST(ShapeOfVersion, LongTextsHaveNone) {
  EXPECT_EQ(shape("1.2." + std::string(60, '3')), VersionShape::semantic);
  EXPECT_EQ(shape("1.2." + std::string(61, '3')), VersionShape::none);
}

TEST(Compare, FollowsSemanticVersioningAndThenTheBuildNumber) {
  const std::vector<std::string> ascending = {"0.0.1",         "0.9.0",
                                              "1.0.0-0",       "1.0.0-2",
                                              "1.0.0-10",      "1.0.0-alpha",
                                              "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                              "1.0.0-beta",    "1.0.0-beta.2",
                                              "1.0.0-beta.11", "1.0.0-rc.1",
                                              "1.0.0",         "1.0.0+1",
                                              "1.0.0+2",       "1.0.0+10",
                                              "1.0.1-rc.1",    "v1.0.1",
                                              "1.2.0",         "1.10.0",
                                              "2.0.0",         "99999999999999999999.0.0"};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const std::partial_ordering wanted = i <=> j;
      EXPECT_TRUE(compare(ascending[i], ascending[j]) == wanted) << ascending[i] << " and " << ascending[j];
    }
}

TEST(Compare, IsUnorderedUnlessBothAreSemantic) {
  EXPECT_TRUE(compare("1.2", "1.3") == std::partial_ordering::unordered);
  EXPECT_TRUE(compare("1.2.3", "1.3") == std::partial_ordering::unordered);
  EXPECT_TRUE(compare("blue", "green") == std::partial_ordering::unordered);
  EXPECT_TRUE(compare("blue", "blue") == std::partial_ordering::equivalent);
  EXPECT_TRUE(compare("v7", "7") == std::partial_ordering::equivalent);
}

TEST(Same, MeansTheDeviceRunsIt) {
  EXPECT_TRUE(same("v1.2.3", "1.2.3"));
  EXPECT_TRUE(same("1.2.3+0", "1.2.3"));
  EXPECT_TRUE(same("1.2.3+007", "1.2.3+7"));
  EXPECT_TRUE(same("blue", "blue"));
  EXPECT_FALSE(same("1.2.3+1", "1.2.3"));
  EXPECT_FALSE(same("1.2.3+abc", "1.2.3+def"));
  EXPECT_FALSE(same("1.2.3+abc", "1.2.3"));
  EXPECT_FALSE(same("1.2", "1.2.0"));
  EXPECT_FALSE(same("1.2.3-rc.1", "1.2.3"));
}

TEST(IsPrerelease, IsASemanticVersionWithADash) {
  EXPECT_TRUE(is_prerelease("1.2.3-rc.1"));
  EXPECT_TRUE(is_prerelease("v1.2.3-rc.1+5"));
  EXPECT_FALSE(is_prerelease("1.2.3"));
  EXPECT_FALSE(is_prerelease("1.2.3+build-5"));
  EXPECT_FALSE(is_prerelease("2023.01-rc3"));
}

}  // namespace
}  // namespace otagate::firmware
