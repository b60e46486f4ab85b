#include "common/object_store/ranges.hpp"

#include <gtest/gtest.h>

#include "otagate/storage.h"

namespace otagate::common {
namespace {

TEST(Token, JoinsETagAndSize) {
  EXPECT_EQ(make_token("a/b", 5), "a/b/5");
  EXPECT_EQ(parse_token("a/b/5")->etag, "a/b");
  EXPECT_EQ(parse_token("a/b/5")->size, 5u);
  EXPECT_EQ(parse_token(make_token("x", OTAGATE_SIZE_UNKNOWN))->size, OTAGATE_SIZE_UNKNOWN);
  EXPECT_FALSE(parse_token("nothing"));
  EXPECT_FALSE(parse_token("x/-1"));
}

TEST(ContentRange, IsReadStrictly) {
  const auto range = parse_content_range("bytes 10-19/443");
  ASSERT_TRUE(range);
  EXPECT_TRUE(range->satisfied);
  EXPECT_EQ(range->first, 10u);
  EXPECT_EQ(range->last, 19u);
  EXPECT_EQ(range->total, 443u);
  EXPECT_FALSE(parse_content_range("bytes */443")->satisfied);
  EXPECT_EQ(parse_content_range("bytes */443")->total, 443u);
  EXPECT_FALSE(parse_content_range("bytes 443-442/443")->satisfied);
  EXPECT_EQ(parse_content_range("bytes 443-442/443")->total, 443u);
  EXPECT_EQ(parse_content_range("bytes 0-1/*")->total, OTAGATE_SIZE_UNKNOWN);
  for (const char* text : {"", "bytes", "bytes 1-0/5", "bytes 0-5/5", "items 0-1/5", "bytes 0-1",
                           "bytes -1/5", "bytes 0-1/x", "bytes 99999999999999999999-1/5"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

TEST(ParseIso8601, TakesFractionsAndNothingButUtc) {
  EXPECT_EQ(parse_iso8601_ms("1970-01-01T00:00:01Z"), 1000);
  EXPECT_EQ(parse_iso8601_ms("1970-01-01T00:00:01.5Z"), 1500);
  EXPECT_EQ(parse_iso8601_ms("1970-01-01T00:00:01.123456789Z"), 1123);
  for (const char* text :
       {"", "1970-01-01", "1970-01-01T00:00:01+02:00", "1970-01-01T00:00:01.5", "soon, very soon, ok"}) {
    EXPECT_EQ(parse_iso8601_ms(text), 0) << text;
  }
}

TEST(ByteRange, EndsWhereTheNumbersDo) {
  EXPECT_EQ(byte_range(0, 0), "bytes=0-");
  EXPECT_EQ(byte_range(5, 10), "bytes=5-14");
  EXPECT_EQ(byte_range(5, UINT64_MAX), "bytes=5-");
}

TEST(EtagOf, LosesItsQuotesOnly) {
  EXPECT_EQ(etag_of({200, {{"etag", "\"0x8D\""}}}), "0x8D");
  EXPECT_EQ(etag_of({200, {{"etag", "0x8D"}}}), "0x8D");
  EXPECT_EQ(etag_of({200, {}}), "");
  EXPECT_EQ(in_quotes("a"), "\"a\"");
}

}  // namespace
}  // namespace otagate::common
