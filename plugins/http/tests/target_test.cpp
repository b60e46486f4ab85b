#include "http/target.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/router.hpp"

namespace otagate::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ParseTarget, DecodesSegmentsAndQuery) {
  const auto target = parse_target("/firmware/my%20app/1.0%2B2?type=a%2Fb&name=x+y&flag");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->segments, ElementsAre("firmware", "my app", "1.0+2"));
  EXPECT_EQ(target->parameter("type"), "a/b");
  EXPECT_EQ(target->parameter("name"), "x y");
  EXPECT_EQ(target->parameter("flag"), "");
  EXPECT_EQ(target->parameter("none"), "");
}

TEST(ParseTarget, AnEncodedSlashStaysInItsSegment) {
  const auto target = parse_target("/firmware/a%2fb/1");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->segments, ElementsAre("firmware", "a/b", "1"));
}

TEST(ParseTarget, TakesTheAbsoluteForm) {
  const auto target = parse_target("http://gw:8080/firmware/a/1?type=b");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->segments, ElementsAre("firmware", "a", "1"));
  EXPECT_THAT(parse_target("http://gw")->segments, IsEmpty());
}

TEST(ParseTarget, TheRootAndATrailingSlash) {
  EXPECT_THAT(parse_target("/")->segments, IsEmpty());
  EXPECT_THAT(parse_target("/firmware/")->segments, ElementsAre("firmware"));
}

TEST(ParseTarget, AVersionPlusIsNoSpaceInThePath) {
  EXPECT_THAT(parse_target("/firmware/a/1.0+2")->segments, ElementsAre("firmware", "a", "1.0+2"));
}

TEST(ParseTarget, RefusesWhatIsNotPlainText) {
  for (const char* raw :
       {"",       "*",        "firmware", "gw:443",      "/a//b",     "/a/./b", "/a/../b",   "/a/%2e%2E/b",
        "/a/%",   "/a/%4",    "/a/%zz",   "/a/%00",      "/a/%0d%0a", "/a/%ff", "/a/%c0%af", "/a/%ed%a0%80",
        "/a?b=%", "/a?b=%00", "/a?%ff=1", "ftp://host/a"}) {
    const auto target = parse_target(raw);
    ASSERT_FALSE(target) << raw;
    EXPECT_EQ(target.error().status, 400U) << raw;
    EXPECT_FALSE(target.error().message.empty());
  }
}

TEST(ParseTarget, IsBounded) {
  std::string path;
  for (std::size_t i = 0; i < kMaxSegments; ++i) path += "/a";
  EXPECT_TRUE(parse_target(path));
  EXPECT_FALSE(parse_target(path + "/a"));
  std::string query = "/a?";
  for (std::size_t i = 0; i < kMaxParameters; ++i) query += "b=1&";
  EXPECT_TRUE(parse_target(query));
  EXPECT_FALSE(parse_target(query + "c=1"));
}

TEST(Router, TheLongestPrefixOfWholeSegmentsWins) {
  Router<int> router;
  router.add("/firmware", 1);
  router.add("/firmware/special", 2);
  router.add("/v1/dfu", 3);
  std::size_t rest = 0;
  EXPECT_EQ(*router.find({"firmware"}, rest), 1);
  EXPECT_EQ(rest, 1U);
  EXPECT_EQ(*router.find({"firmware", "a", "1"}, rest), 1);
  EXPECT_EQ(*router.find({"firmware", "special", "1"}, rest), 2);
  EXPECT_EQ(rest, 2U);
  EXPECT_EQ(*router.find({"v1", "dfu"}, rest), 3);
  EXPECT_EQ(router.find({"v1"}, rest), nullptr);
  EXPECT_EQ(router.find({"firmwares"}, rest), nullptr);
  EXPECT_EQ(router.find({}, rest), nullptr);
}

}  // namespace
}  // namespace otagate::http
