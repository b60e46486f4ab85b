#include "http/conditions.hpp"

#include <string>

#include <gtest/gtest.h>

namespace otagate::http {
namespace {

constexpr std::int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr Validators kEntity{"abc", kModified};

Conditions if_match(std::string_view value) {
  Conditions out;
  out.if_match = value;
  return out;
}
Conditions if_none_match(std::string_view value) {
  Conditions out;
  out.if_none_match = value;
  return out;
}

TEST(ParseDate, ReadsAllThreeForms) {
  EXPECT_EQ(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), kModified);
  EXPECT_EQ(parse_date("Sunday, 06-Nov-94 08:49:37 GMT"), kModified);
  EXPECT_EQ(parse_date("Sun Nov  6 08:49:37 1994"), kModified);
  EXPECT_FALSE(parse_date("yesterday"));
  EXPECT_FALSE(parse_date("Sun, 06 Nov 1994 08:49:37 GMT and more"));
  EXPECT_FALSE(parse_date(std::string(200, '1')));
  EXPECT_FALSE(parse_date(""));
}

TEST(FormatDate, WritesTheFixedForm) {
  std::string out(kDateSize, 'x');
  format_date(kModified, out.data());
  EXPECT_EQ(out, "Sun, 06 Nov 1994 08:49:37 GMT");
  format_date(4102444800, out.data());
  EXPECT_EQ(out, "Fri, 01 Jan 2100 00:00:00 GMT");
}

TEST(Evaluate, WithoutConditionsProceeds) { EXPECT_EQ(evaluate({}, kEntity), Verdict::kProceed); }

TEST(Evaluate, IfMatchComparesStrongly) {
  EXPECT_EQ(evaluate(if_match("\"abc\""), kEntity), Verdict::kProceed);
  EXPECT_EQ(evaluate(if_match("\"x\", \"abc\""), kEntity), Verdict::kProceed);
  EXPECT_EQ(evaluate(if_match("*"), kEntity), Verdict::kProceed);
  EXPECT_EQ(evaluate(if_match("W/\"abc\""), kEntity), Verdict::kPreconditionFailed);
  EXPECT_EQ(evaluate(if_match("\"abcd\""), kEntity), Verdict::kPreconditionFailed);
  EXPECT_EQ(evaluate(if_match("abc"), kEntity), Verdict::kPreconditionFailed);
  EXPECT_EQ(evaluate(if_match("\"abc"), kEntity), Verdict::kPreconditionFailed);
}

TEST(Evaluate, IfNoneMatchComparesWeakly) {
  EXPECT_EQ(evaluate(if_none_match("\"abc\""), kEntity), Verdict::kNotModified);
  EXPECT_EQ(evaluate(if_none_match("W/\"abc\""), kEntity), Verdict::kNotModified);
  EXPECT_EQ(evaluate(if_none_match("*"), kEntity), Verdict::kNotModified);
  EXPECT_EQ(evaluate(if_none_match("\"a,b\" , \"abc\""), kEntity), Verdict::kNotModified);
  EXPECT_EQ(evaluate(if_none_match("\"a,abc\""), kEntity), Verdict::kProceed);
}

TEST(Evaluate, DatesCountOnlyWithoutTags) {
  Conditions conditions;
  conditions.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT";
  EXPECT_EQ(evaluate(conditions, kEntity), Verdict::kNotModified);
  conditions.if_none_match = "\"other\"";
  EXPECT_EQ(evaluate(conditions, kEntity), Verdict::kProceed);

  Conditions unmodified;
  unmodified.if_unmodified_since = "Sun, 06 Nov 1994 08:49:36 GMT";
  EXPECT_EQ(evaluate(unmodified, kEntity), Verdict::kPreconditionFailed);
  unmodified.if_match = "\"abc\"";
  EXPECT_EQ(evaluate(unmodified, kEntity), Verdict::kProceed);
}

TEST(Evaluate, AnUnreadableOrUnknownDateIsIgnored) {
  Conditions conditions;
  conditions.if_modified_since = "soon";
  EXPECT_EQ(evaluate(conditions, kEntity), Verdict::kProceed);
  conditions.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT";
  EXPECT_EQ(evaluate(conditions, Validators{"abc", 0}), Verdict::kProceed);
}

TEST(RangeApplies, OnlyToTheVeryEntity) {
  EXPECT_TRUE(range_applies("", kEntity));
  EXPECT_TRUE(range_applies("\"abc\"", kEntity));
  EXPECT_FALSE(range_applies("W/\"abc\"", kEntity));
  EXPECT_FALSE(range_applies("\"old\"", kEntity));
  EXPECT_TRUE(range_applies("Sun, 06 Nov 1994 08:49:37 GMT", kEntity));
  EXPECT_FALSE(range_applies("Sun, 06 Nov 1994 08:49:38 GMT", kEntity));
  EXPECT_FALSE(range_applies("nonsense", kEntity));
  EXPECT_FALSE(range_applies("Sun, 06 Nov 1994 08:49:37 GMT", Validators{"abc", 0}));
}

}  // namespace
}  // namespace otagate::http
