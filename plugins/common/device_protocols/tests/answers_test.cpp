#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/protocols.hpp"

namespace otagate::plugins::devices {
namespace {

TEST(Refusal, EachStatusHasItsAnswer) {
  const struct {
    std::uint32_t status;
    int http;
  } kTable[] = {{OTAGATE_TRANSIENT, 503},   {OTAGATE_PERMANENT, 502},    {OTAGATE_CHANGED, 503},
                {OTAGATE_NOT_FOUND, 404},   {OTAGATE_DENIED, 403},       {OTAGATE_CLOCK, 503},
                {OTAGATE_THROTTLED, 503},   {OTAGATE_CANCELLED, 503},    {OTAGATE_DEADLINE, 503},
                {OTAGATE_UNSUPPORTED, 501}, {OTAGATE_INVALID, 400},      {OTAGATE_INTERNAL, 500},
                {OTAGATE_BUSY, 503},        {OTAGATE_NO_SPACE, 503},     {OTAGATE_REJECTED, 502},
                {OTAGATE_AMBIGUOUS, 409},   {OTAGATE_PRECONDITION, 412}, {9999, 500}};
  for (const auto& row : kTable) {
    auto got = refusal(row.status, 0, {});
    EXPECT_EQ(got.status, row.http) << row.status;
    EXPECT_EQ(got.content_type, "application/json");
    EXPECT_FALSE(boost::json::parse(got.body).at("error").as_string().empty());
    EXPECT_EQ(got.retry_after, row.http == 503 ? 5U : 0U);
    EXPECT_EQ(try_later(row.status), row.http == 503);
    got = refusal(row.status, 1001, "a \"reason\"");
    EXPECT_EQ(boost::json::parse(got.body).at("error").as_string(), "a \"reason\"");
    EXPECT_EQ(got.retry_after, row.http == 503 ? 2U : 0U);
  }
}

TEST(Answers, Small) {
  EXPECT_EQ(seconds_of(0), 1U);
  EXPECT_EQ(seconds_of(1), 1U);
  EXPECT_EQ(seconds_of(1000), 1U);
  EXPECT_EQ(seconds_of(1001), 2U);
  EXPECT_EQ(seconds_of(UINT64_MAX), 2147483647U);
  EXPECT_EQ(parse_number("007", 7), 7U);
  EXPECT_EQ(parse_number("8", 7), std::nullopt);
  for (const auto* text : {"", "+1", "-1", " 1", "1 ", "1x", "0x1", "99999999999999999999"})
    EXPECT_EQ(parse_number(text, UINT64_MAX), std::nullopt) << text;
  const auto none = method_not_allowed("PUT, POST");
  EXPECT_EQ(none.status, 405);
  EXPECT_EQ(none.headers, (std::vector<std::pair<std::string, std::string>>{{"Allow", "PUT, POST"}}));
  Request request;
  request.query = {{"a", "1"}, {"b", ""}, {"a", "2"}};
  EXPECT_EQ(request.parameter("a"), "1");
  EXPECT_EQ(request.parameter("c"), "");
}

TEST(Protocols, EachMayBeSwitchedOff) {
  Settings settings;
  const std::vector<std::string> dfu = {"v1", "dfu"};
  const std::vector<std::string> update = {"v1", "devices", "x", "update"};
  auto all = make_protocols(settings);
  ASSERT_NE(protocol_for(all, dfu), nullptr);
  EXPECT_EQ(protocol_for(all, dfu)->name(), "drogue");
  ASSERT_NE(protocol_for(all, update), nullptr);
  EXPECT_EQ(protocol_for(all, update)->name(), "poll");
  EXPECT_EQ(protocol_for(all, {"firmware", "x", "1"}), nullptr);
  EXPECT_EQ(protocol_for(all, {}), nullptr);
  settings.drogue = false;
  all = make_protocols(settings);
  EXPECT_EQ(protocol_for(all, dfu), nullptr);
  EXPECT_NE(protocol_for(all, update), nullptr);
  settings.poll = false;
  EXPECT_EQ(protocol_for(make_protocols(settings), update), nullptr);
}

}  // namespace
}  // namespace otagate::plugins::devices
