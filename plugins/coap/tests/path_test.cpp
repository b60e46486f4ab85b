#include "path.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace otagate::coap {
namespace {

class PathTest : public testing::Test {
 protected:
  Target parse(const std::vector<std::string_view>& segments,
               const std::vector<std::string_view>& queries = {}) {
    parser_.clear();
    for (const auto segment : segments) EXPECT_TRUE(parser_.add_segment(segment));
    for (const auto query : queries) EXPECT_TRUE(parser_.add_query(query));
    return parser_.target();
  }
  std::string key(const std::vector<std::string_view>& segments,
                  const std::vector<std::string_view>& queries = {}) {
    const auto target = parse(segments, queries);
    return std::string(parser_.key(target));
  }

  PathParser parser_;
};

TEST_F(PathTest, FindsTheResources) {
  EXPECT_EQ(parse({"firmware"}).resource, Resource::kCatalog);
  EXPECT_EQ(parse({"firmware", "app", "1.0.0"}).resource, Resource::kFirmware);
  EXPECT_EQ(parse({"firmware", "app", "1.0.0", "sensor"}).resource, Resource::kFirmware);
  EXPECT_EQ(parse({"blobs", "sha256", std::string(64, 'a')}).resource, Resource::kBlob);
  EXPECT_EQ(parse({".well-known", "core"}).resource, Resource::kWellKnown);
}

TEST_F(PathTest, KnowsNothingElse) {
  EXPECT_EQ(parse({}).resource, Resource::kNone);
  EXPECT_EQ(parse({"", ""}).resource, Resource::kNone);
  EXPECT_EQ(parse({"firmware", "app"}).resource, Resource::kNone);
  EXPECT_EQ(parse({"firmware", "", "1.0.0"}).resource, Resource::kNone);
  EXPECT_EQ(parse({"firmware", "a", "b", "c", "d"}).resource, Resource::kNone);
  EXPECT_EQ(parse({"blobs", "md5", std::string(64, 'a')}).resource, Resource::kNone);
  EXPECT_EQ(parse({"blobs", "sha256", std::string(63, 'a')}).resource, Resource::kNone);
  EXPECT_EQ(parse({"blobs", "sha256", std::string(64, 'A')}).resource, Resource::kNone);
  EXPECT_EQ(parse({"Firmware"}).resource, Resource::kNone);
}

TEST_F(PathTest, TakesSegmentsLiterally) {
  const auto target = parse({"firmware", "a/b%20c", "1.0.0+7"});
  EXPECT_EQ(target.name, "a/b%20c");
  EXPECT_EQ(target.version, "1.0.0+7");
  EXPECT_EQ(parse({"firmware", "..", "."}).name, "..");
}

TEST_F(PathTest, TakesTheTypeFromQueryOrPath) {
  EXPECT_EQ(parse({"firmware", "app", "1"}, {"type=sensor"}).type, "sensor");
  EXPECT_EQ(parse({"firmware", "app", "1", "sensor"}, {"type=other"}).type, "sensor");
  EXPECT_EQ(parse({"firmware", "app", "1"}, {"x=y", "type"}).type, "");
}

TEST_F(PathTest, FindsAQueryInTheLastSegment) {
  const auto target = parse({"firmware", "app", "1.0.0?type=a%20b&x=y"});
  EXPECT_EQ(target.resource, Resource::kFirmware);
  EXPECT_EQ(target.version, "1.0.0");
  EXPECT_EQ(target.type, "a b");
  EXPECT_EQ(parse({"firmware?name=app"}).name, "app");
  EXPECT_EQ(parse({"firmware", "app", "latest?"}).version, "latest");
}

TEST_F(PathTest, IgnoresEmptySegmentsAtTheEnds) {
  EXPECT_EQ(parse({"", "firmware", ""}).resource, Resource::kCatalog);
  EXPECT_EQ(parse({"", "firmware", "app", "1"}).name, "app");
}

TEST_F(PathTest, FiltersTheCatalog) {
  const auto target = parse({"firmware"}, {"type=t", "name=n", "store=s", "cursor=c", "limit=7"});
  EXPECT_EQ(target.type, "t");
  EXPECT_EQ(target.name, "n");
  EXPECT_EQ(target.store, "s");
  EXPECT_EQ(target.cursor, "c");
  EXPECT_EQ(target.limit, 7U);
  EXPECT_EQ(parse({"firmware"}).limit, kDefaultPage);
}

TEST_F(PathTest, SaysWhatIsWrongWithALimit) {
  for (const auto* query : {"limit=0", "limit=1001", "limit=", "limit=7x", "limit=-1", "limit=99999999999"}) {
    const auto target = parse({"firmware"}, {query});
    EXPECT_EQ(target.resource, Resource::kNone) << query;
    EXPECT_NE(target.problem, nullptr) << query;
  }
}

TEST_F(PathTest, RefusesWhatIsNoText) {
  EXPECT_NE(parse({"firmware", std::string_view("a\0b", 3), "1"}).problem, nullptr);
  EXPECT_NE(parse({"firmware", "\xff", "1"}).problem, nullptr);
  EXPECT_NE(parse({"firmware", "app", "1"}, {"type=\xc3"}).problem, nullptr);
  EXPECT_NE(parse({"firmware", "app", "1?type=%00"}).problem, nullptr);
  EXPECT_EQ(parse({"firmware", "\xc3\xbc", "1"}).problem, nullptr);
}

TEST_F(PathTest, HasOneKeyForOneTarget) {
  EXPECT_EQ(key({"firmware", "app", "1", "t"}), key({"firmware", "app", "1"}, {"type=t"}));
  EXPECT_EQ(key({"firmware", "app", "1", "t"}), key({"firmware", "app", "1?type=t"}));
  EXPECT_EQ(key({"firmware", "app", "1"}, {"junk=1"}), key({"firmware", "app", "1"}));
  EXPECT_NE(key({"firmware", "app", "1"}), key({"firmware", "app", "1", "t"}));
  EXPECT_NE(key({"firmware", "ab", "c"}), key({"firmware", "a", "bc"}));
  EXPECT_NE(key({"firmware"}, {"limit=7"}), key({"firmware"}, {"limit=8"}));
  EXPECT_NE(key({"firmware"}, {"name=x"}), key({"firmware"}, {"type=x"}));
}

TEST_F(PathTest, BoundsWhatItTakes) {
  parser_.clear();
  for (std::size_t i = 0; i < PathParser::kMaxSegments; ++i) EXPECT_TRUE(parser_.add_segment("a"));
  EXPECT_FALSE(parser_.add_segment("a"));
  parser_.clear();
  EXPECT_FALSE(parser_.add_segment(std::string(256, 'a')));
  for (std::size_t i = 0; i < PathParser::kMaxQueries; ++i) EXPECT_TRUE(parser_.add_query("a=b"));
  EXPECT_FALSE(parser_.add_query("a=b"));
}

TEST_F(PathTest, HoldsTheLongestKey) {
  const std::string longest(255, 'x');
  const std::string name = "name=" + longest.substr(5);
  const std::string type = "type=" + longest.substr(5);
  const std::string store = "store=" + longest.substr(6);
  const std::string cursor = "cursor=" + longest.substr(7);
  EXPECT_LT(key({"firmware"}, {name, type, store, cursor, "limit=1000"}).size(), PathParser::kMaxKey);
}

TEST(IsUtf8, RefusesOverlongSurrogatesAndCutSequences) {
  EXPECT_TRUE(is_utf8("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));
  EXPECT_FALSE(is_utf8("\xe0\x80\xaf"));
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(is_utf8("\xe2\x82"));
  EXPECT_FALSE(is_utf8("\x80"));
}

}  // namespace
}  // namespace otagate::coap
