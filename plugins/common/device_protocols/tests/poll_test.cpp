// Plain poll: what is asked, what is answered, which reports are taken.
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "common/device_protocols/poll/poll.hpp"
#include "common/device_protocols/poll/report.hpp"
#include "scripted_gateway.hpp"

namespace otagate::plugins::devices {
namespace {

class PollTest : public ::testing::Test {
 protected:
  ScriptedGateway gateway;
  Settings settings;
  Request request;

  PollTest() {
    request.path = {"v1", "devices", "dev-1", "update"};
    request.base_url = "http://10.0.0.1:8080";
    request.principal = 5;
    request.peer = "10.0.0.7:4711";
  }
  Response update(sdk::Pairs query = {}) {
    request.query = std::move(query);
    return ask(Poll(settings), request, gateway);
  }
  Response report(std::string_view body) {
    request.method = Method::post;
    request.path = {"v1", "devices", "dev-1", "report"};
    request.body = body;
    return ask(Poll(settings), request, gateway);
  }
};

TEST_F(PollTest, ServesItsTwoPaths) {
  const Poll protocol(settings);
  EXPECT_TRUE(protocol.serves({"v1", "devices", "x", "update"}));
  EXPECT_TRUE(protocol.serves({"v1", "devices", "x", "report"}));
  EXPECT_FALSE(protocol.serves({"v1", "devices", "x"}));
  EXPECT_FALSE(protocol.serves({"v1", "devices", "x", "reports"}));
  EXPECT_FALSE(protocol.serves({"v1", "devices", "x", "update", "y"}));
  EXPECT_EQ(report("{}").status, 400);
  request.path[3] = "update";
  EXPECT_EQ(ask(protocol, request, gateway).status, 405);
  request.path[3] = "report";
  request.method = Method::get;
  EXPECT_EQ(ask(protocol, request, gateway).status, 405);
}

TEST_F(PollTest, ChecksTheDeviceInWithAllItSays) {
  update({{"version", "1.0.0"},
          {"type", "board"},
          {"version.modem", "9.8"},
          {"attribute.site", "north"},
          {"wait", "30"},
          {"midway", "1"},
          {"unknown", "x"}});
  ASSERT_EQ(gateway.asked.size(), 1U);
  const auto& asked = gateway.asked[0];
  EXPECT_EQ(asked.device, "dev-1");
  EXPECT_EQ(asked.principal, 5U);
  EXPECT_EQ(asked.type, "board");
  EXPECT_EQ(asked.address, "10.0.0.7:4711");
  EXPECT_EQ(asked.versions, (sdk::Pairs{{"application", "1.0.0"}, {"modem", "9.8"}}));
  EXPECT_EQ(asked.attributes, (sdk::Pairs{{"site", "north"}}));
  EXPECT_EQ(asked.deadline_ms, 30'000U);
  EXPECT_TRUE(asked.midway);
  request.principal_type = "sensor";
  update({{"type", "board"}, {"wait", "86400"}});
  EXPECT_EQ(gateway.asked[1].type, "sensor") << "the credential's";
  EXPECT_EQ(gateway.asked[1].deadline_ms, 55'000U);
  EXPECT_FALSE(gateway.asked[1].midway);
}

TEST_F(PollTest, RefusesWhatMakesNoSense) {
  const std::string longest(256, 'x');
  sdk::Pairs many;
  for (int i = 0; i < 33; ++i) many.emplace_back("attribute." + std::to_string(i), "x");
  for (const auto& query : std::vector<sdk::Pairs>{{{"wait", "soon"}},
                                                   {{"wait", "86401"}},
                                                   {{"midway", "yes"}},
                                                   {{"version", "1"}, {"version.application", "2"}},
                                                   {{"version", "1"}, {"version", "2"}},
                                                   {{"version.", "1"}},
                                                   {{"attribute.", "1"}},
                                                   {{"version", longest + "x"}},
                                                   {{"attribute." + longest + "x", ""}},
                                                   {{"attribute.a", std::string(1, '\0')}},
                                                   many}) {
    EXPECT_EQ(update(query).status, 400) << query[0].first;
  }
  for (const auto& id : {std::string(), longest + "x", std::string("a\0b", 3)}) {
    request.path[2] = id;
    EXPECT_EQ(update().status, 400);
  }
  EXPECT_TRUE(gateway.asked.empty());
}

TEST_F(PollTest, NothingIs204WithTheTimeToComeBack) {
  gateway.offers = {good(nothing_for(90'001))};
  const auto got = update();
  EXPECT_EQ(got.status, 204);
  EXPECT_EQ(got.retry_after, 91U);
  EXPECT_TRUE(got.body.empty());
  EXPECT_TRUE(got.content_type.empty());
}

TEST_F(PollTest, AnOfferIsAll) {
  auto offer = offer_of({part_of("1.0.1", 5000)});
  offer.attempt = 18446744073709551615ULL;
  gateway.offers = {good(offer)};
  const auto got = update();
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.content_type, "application/json");
  EXPECT_EQ(boost::json::parse(got.body), boost::json::parse(R"({
    "name": "sensor", "version": "1.0.1", "component": "application", "size": 5000,
    "url": "http://10.0.0.1:8080/blobs/sha256/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "sha256": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "deployment": "18446744073709551615", "mode": "update", "report_within": 60})"));
}

TEST_F(PollTest, SeveralPartsAreListed) {
  auto offer = offer_of({part_of("1.0.1", 5000, ""), part_of("9.9", OTAGATE_SIZE_UNKNOWN, "modem")});
  offer.download_only = true;
  offer.lease_ms = 0;
  offer.parts[1].sha256.clear();
  offer.parts[1].params = {{"slot", "S1"}};
  gateway.offers = {good(offer)};
  const auto body = boost::json::parse(update().body).as_object();
  EXPECT_EQ(body.at("mode"), "download_only");
  EXPECT_FALSE(body.contains("report_within"));
  EXPECT_EQ(body.at("component"), "application");
  const auto& parts = body.at("parts").as_array();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].at("component"), "application");
  EXPECT_EQ(parts[1].at("component"), "modem");
  EXPECT_EQ(parts[1].at("url"), "http://10.0.0.1:8080/firmware/sensor/9.9");
  EXPECT_TRUE(parts[1].at("size").is_null());
  EXPECT_TRUE(parts[1].at("sha256").is_null());
  EXPECT_EQ(parts[1].at("params").at("slot"), "S1");
}

TEST_F(PollTest, RefusalsKeepTheirMeaning) {
  for (const auto& [status, http] :
       {std::pair(OTAGATE_DENIED, 403), {OTAGATE_NOT_FOUND, 404}, {OTAGATE_BUSY, 503}}) {
    gateway.offers = {bad<sdk::Offer>(status, 2500, "because")};
    const auto got = update();
    EXPECT_EQ(got.status, http);
    EXPECT_EQ(boost::json::parse(got.body).at("error"), "because");
    EXPECT_EQ(got.retry_after, http == 503 ? 3U : 0U);
  }
}

// ---- reports

TEST_F(PollTest, AReportGoesOnWhole) {
  EXPECT_EQ(
      report(R"({"deployment":"17","state":"downloading","offset":4096,"part":1,"code":-3,"message":"hm"})")
          .status,
      204);
  ASSERT_EQ(gateway.told.size(), 1U);
  const auto& told = gateway.told[0];
  EXPECT_EQ(told.attempt, 17U);
  EXPECT_EQ(told.state, OTAGATE_ATTEMPT_DOWNLOADING);
  EXPECT_EQ(told.offset, 4096U);
  EXPECT_EQ(told.part, 1U);
  EXPECT_EQ(told.code, -3);
  EXPECT_EQ(told.message, "hm");
  EXPECT_EQ(told.device, "dev-1");
  EXPECT_EQ(told.principal, 5U);
}

TEST_F(PollTest, EachStateHasItsMeaning) {
  const std::vector<std::pair<std::string, std::uint32_t>> states = {
      {"downloading", OTAGATE_ATTEMPT_DOWNLOADING},
      {"downloaded", OTAGATE_ATTEMPT_DOWNLOADED},
      {"applying", OTAGATE_ATTEMPT_APPLYING},
      {"succeeded", OTAGATE_ATTEMPT_CONFIRMED},
      {"failed", OTAGATE_ATTEMPT_FAILED}};
  for (const auto& [name, state] : states) {
    for (int twice = 0; twice < 2; ++twice) {
      const auto got = report("{\"deployment\":17,\"state\":\"" + name + "\"}");
      EXPECT_EQ(got.status, 204) << got.body;
      EXPECT_TRUE(got.body.empty());
      EXPECT_EQ(gateway.told.back().state, state);
    }
  }
}

TEST_F(PollTest, WhatIsOverSaysSo) {
  gateway.answers = {good(std::uint32_t{OTAGATE_STOP})};
  EXPECT_EQ(report(R"({"deployment":17,"state":"downloading"})").status, 410);
  EXPECT_EQ(report(R"({"deployment":17,"state":"succeeded"})").status, 410);
  EXPECT_EQ(report(R"({"deployment":17,"state":"failed"})").status, 204) << "that is what stopped it";
  gateway.answers = {bad<std::uint32_t>(OTAGATE_NOT_FOUND)};
  const auto got = report(R"({"deployment":17,"state":"downloading"})");
  EXPECT_EQ(got.status, 404);
  EXPECT_NE(got.body.find("17"), std::string::npos);
  gateway.answers = {bad<std::uint32_t>(OTAGATE_PRECONDITION, 0, "the attempt is over: cancelled")};
  const auto over = report(R"({"deployment":17,"state":"succeeded"})");
  EXPECT_EQ(over.status, 410);
  EXPECT_NE(over.body.find("cancelled"), std::string::npos);
  gateway.answers = {bad<std::uint32_t>(OTAGATE_DENIED)};
  EXPECT_EQ(report(R"({"deployment":17,"state":"downloading"})").status, 403);
  gateway.answers = {bad<std::uint32_t>(OTAGATE_BUSY, 1000)};
  EXPECT_EQ(report(R"({"deployment":17,"state":"downloading"})").status, 503);
}

TEST_F(PollTest, WrongReportsAreNamedAndNotPassedOn) {
  const struct {
    const char* body;
    const char* names;
  } kTable[] = {
      {"", "JSON"},
      {"[]", "object"},
      {"17", "object"},
      {"{", "JSON"},
      {R"({"deployment":17})", "state"},
      {R"({"state":"failed"})", "deployment"},
      {R"({"deployment":null,"state":"failed"})", "deployment"},
      {R"({"deployment":0,"state":"failed"})", "deployment"},
      {R"({"deployment":-1,"state":"failed"})", "deployment"},
      {R"({"deployment":1.5,"state":"failed"})", "deployment"},
      {R"({"deployment":"x","state":"failed"})", "deployment"},
      {R"({"deployment":"18446744073709551616","state":"failed"})", "deployment"},
      {R"({"deployment":17,"state":"done"})", "done"},
      {R"({"deployment":17,"state":"Failed"})", "downloading, downloaded"},
      {R"({"deployment":17,"state":4})", "downloading, downloaded"},
      {R"({"deployment":17,"state":"failed","offest":1})", "offest"},
      {R"({"deployment":17,"state":"failed","offest":null})", "offest"},
      {R"({"deployment":17,"state":"failed","offset":-1})", "offset"},
      {R"({"deployment":17,"state":"failed","offset":1e3})", "offset"},
      {R"({"deployment":17,"state":"failed","code":2147483648})", "code"},
      {R"({"deployment":17,"state":"failed","code":"1"})", "code"},
      {R"({"deployment":17,"state":"failed","part":16})", "part"},
      {R"({"deployment":17,"state":"failed","part":"application"})", "part"},
      {R"({"deployment":17,"state":"failed","message":1})", "message"},
      {R"({"deployment":17,"state":"failed","version":1})", "version"},
      {R"({"deployment":17,"state":"failed","message":[[[[[[]]]]]]})", "JSON"},
  };
  for (const auto& row : kTable) {
    const auto got = report(row.body);
    EXPECT_EQ(got.status, 400) << row.body;
    EXPECT_NE(got.body.find(row.names), std::string::npos) << row.body << " -> " << got.body;
  }
  EXPECT_EQ(report(std::string(poll::kMaxReport + 1, ' ')).status, 413);
  EXPECT_TRUE(gateway.told.empty());
}

TEST(ReadReport, TakesNullForNothingAndCutsLongMessages) {
  auto got = poll::read_report(
      R"({"deployment":17,"state":"failed","offset":null,"code":null,"message":null,"version":"2"})");
  ASSERT_TRUE(got) << got.message;
  EXPECT_EQ(got.value.message, "runs 2");
  got = poll::read_report("{\"deployment\":17,\"state\":\"failed\",\"message\":\"" + std::string(1023, 'x') +
                          "\xc3\xbc\"}");
  EXPECT_EQ(got.value.message, std::string(1023, 'x')) << "no half of a character";
  got = poll::read_report("{\"deployment\":17,\"state\":\"failed\",\"message\":\"a\\u0000b\"}");
  EXPECT_EQ(got.value.message, "a b");
}

}  // namespace
}  // namespace otagate::plugins::devices
