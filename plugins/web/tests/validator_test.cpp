#include "web/validator.hpp"

#include <gtest/gtest.h>

namespace otagate::web {
namespace {

common::HttpHead head(std::vector<std::pair<std::string, std::string>> headers) {
  return common::HttpHead{200, std::move(headers)};
}

// RFC 9110, 8.8.3: the examples of entity tags.
TEST(Validator, TellsStrongTagsFromWeakOnes) {
  EXPECT_TRUE(strong("\"xyzzy\""));
  EXPECT_FALSE(strong("W/\"xyzzy\""));
  EXPECT_TRUE(strong("\"\""));
  for (const char* text : {"", "xyzzy", "\"", "\"a\"b\"", "\"a\r\nX: y\"", "w/\"x\"", "\"a b\""}) {
    EXPECT_FALSE(strong(text)) << text;
  }
}

TEST(Validator, ReadsAnswers) {
  const Validator both =
      validator_of(head({{"etag", "W/\"1\""}, {"last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"}}), 7);
  EXPECT_EQ(both, (Validator{"W/\"1\"", 1445412480, 7}));
  EXPECT_EQ(validator_of(head({{"etag", "unquoted"}, {"last-modified", "soon"}}), OTAGATE_SIZE_UNKNOWN),
            Validator());
}

TEST(Validator, ComparesWhatBothHave) {
  const Validator seen{"\"a\"", 100, 7};
  EXPECT_TRUE(same(seen, {}));
  EXPECT_TRUE(same(seen, seen));
  EXPECT_FALSE(same(seen, {"\"b\"", 100, 7}));
  EXPECT_FALSE(same(seen, {"\"a\"", 100, 8}));
  // One of several servers behind a name: the bytes are the same, the times are not.
  EXPECT_TRUE(same(seen, {"\"a\"", 101, 7}));
  EXPECT_FALSE(same({"", 100, 7}, {"", 101, 7}));
}

TEST(Validator, TakesNoWeakTagForProof) {
  const Validator weak{"W/\"a\"", 100, 7};
  EXPECT_TRUE(same(weak, weak));
  EXPECT_FALSE(same(weak, {"W/\"a\"", 101, 7}));
  EXPECT_FALSE(same(weak, {"W/\"a\"", 100, 8}));
  EXPECT_FALSE(same(weak, {"W/\"b\"", 100, 7}));
  EXPECT_EQ(token_of(weak), "date:100/7");
}

TEST(Tokens, ComeBackAsWhatTheySay) {
  EXPECT_EQ(token_of({"\"a/b\"", 100, 7}), "etag:\"a/b\"/7");
  EXPECT_EQ(parse_token("etag:\"a/b\"/7"), (Validator{"\"a/b\"", 0, 7}));
  EXPECT_EQ(parse_token("date:100/?"), (Validator{"", 100, OTAGATE_SIZE_UNKNOWN}));
  EXPECT_EQ(parse_token(digest_token("00", 7)), (Validator{"", 0, 7}));
  EXPECT_EQ(parse_token(entry_token("fw 1.0", 7)), (Validator{"", 0, 7}));
  EXPECT_NE(entry_token("fw 1.0", 7), entry_token("fw 1.1", 7));
  EXPECT_EQ(token_of({}), "");
  for (const char* text : {"", "etag", "etag:/7", "etag:\"a\"", "date:x/7", "date:0/7", "etag:\"a\"/x",
                           "other:1/7", "another-date:100/7", "/:", "etag:\"a\r\n\"/1"}) {
    EXPECT_FALSE(parse_token(text)) << text;
  }
}

}  // namespace
}  // namespace otagate::web
