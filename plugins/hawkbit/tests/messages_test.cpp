#include "hawkbit/messages.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace otagate::hawkbit {
namespace {

namespace json = boost::json;

sdk::Feedback feedback(std::uint32_t kind) {
  sdk::Feedback out;
  out.kind = kind;
  out.external_id = "17";
  out.device = "pump-7";
  out.at_ms = 1'790'000'000'000;
  return out;
}

void expect_message(const sdk::Feedback& said, const char* path, const char* body,
                    std::string_view cancel_id = "") {
  const auto message = feedback_message(said, cancel_id);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->path, path);
  EXPECT_EQ(json::parse(message->body), json::parse(body)) << message->body;
}

TEST(HawkbitMessages, ProgressIsPercentOfAHundred) {
  sdk::Feedback said = feedback(OTAGATE_FEEDBACK_PROGRESS);
  said.done = 6'000'000'000;
  said.total = 8'000'000'000;
  expect_message(said, "deploymentBase/17/feedback",
                 R"({"id":"17","timestamp":1790000000000,"status":{"execution":"proceeding",
                     "result":{"finished":"none","progress":{"cnt":75,"of":100}},"details":[]}})");
  said.total = 0;
  said.message = "unpacking";
  expect_message(said, "deploymentBase/17/feedback",
                 R"({"id":"17","timestamp":1790000000000,"status":{"execution":"proceeding",
                     "result":{"finished":"none"},"details":["unpacking"]}})");
}

TEST(HawkbitMessages, AHundredPercentIsAllOfIt) {
  EXPECT_EQ(percent(0, 10), 0u);
  EXPECT_EQ(percent(999'999, 1'000'000), 99u);
  EXPECT_EQ(percent(10, 10), 100u);
  EXPECT_EQ(percent(UINT64_MAX - 1, UINT64_MAX), 99u);
  EXPECT_EQ(percent(5, 0), 0u);
}

TEST(HawkbitMessages, EndsOfAnAction) {
  expect_message(feedback(OTAGATE_FEEDBACK_SUCCESS), "deploymentBase/17/feedback",
                 R"({"id":"17","timestamp":1790000000000,"status":{"execution":"closed",
                     "result":{"finished":"success"},"details":[]}})");
  sdk::Feedback failed = feedback(OTAGATE_FEEDBACK_FAILURE);
  failed.code = -5;
  failed.message = "bad\nflash";
  failed.at_ms = 1000;  // of a clock that was not set
  expect_message(failed, "deploymentBase/17/feedback",
                 R"({"id":"17","status":{"execution":"closed","result":{"finished":"failure"},"code":-5,
                     "details":["bad flash"]}})");
  expect_message(feedback(OTAGATE_FEEDBACK_DOWNLOADED), "deploymentBase/17/feedback",
                 R"({"id":"17","timestamp":1790000000000,"status":{"execution":"downloaded",
                     "result":{"finished":"none"},"details":["the device has all of it"]}})");
}

TEST(HawkbitMessages, AnswersToACancelNameTheCancel) {
  expect_message(feedback(OTAGATE_FEEDBACK_CANCELLED), "cancelAction/18/feedback",
                 R"({"id":"18","timestamp":1790000000000,"status":{"execution":"closed",
                     "result":{"finished":"success"},"details":["cancelled"]}})",
                 "18");
  expect_message(feedback(OTAGATE_FEEDBACK_CANCEL_REFUSED), "cancelAction/17/feedback",
                 R"({"id":"17","timestamp":1790000000000,"status":{"execution":"rejected",
                     "result":{"finished":"none"},"details":["too late to be cancelled"]}})");
}

TEST(HawkbitMessages, ConsentIsGivenOrRefused) {
  expect_message(feedback(OTAGATE_FEEDBACK_CONFIRMED), "confirmationBase/17/feedback",
                 R"({"confirmation":"confirmed","details":["agreed to at the gateway"]})");
  sdk::Feedback denied = feedback(OTAGATE_FEEDBACK_DENIED);
  denied.message = "not during harvest";
  denied.code = 3;
  expect_message(denied, "confirmationBase/17/feedback",
                 R"({"confirmation":"denied","code":3,"details":["not during harvest"]})");
  EXPECT_FALSE(feedback_message(feedback(99), ""));
}

TEST(HawkbitMessages, AttributesKeepHawkbitsBounds) {
  EXPECT_EQ(json::parse(config_data({{"type", "pump"}, {"version", "1.0"}})),
            json::parse(R"({"mode":"replace","data":{"type":"pump","version":"1.0"}})"));
  sdk::Pairs many;
  for (int i = 0; i < 200; ++i) many.emplace_back("k" + std::to_string(i), std::string(500, 'v'));
  many.emplace_back(std::string(129, 'k'), "v");
  const json::value cut = json::parse(config_data(many));
  EXPECT_EQ(cut.at("data").as_object().size(), kMaxAttributes);
  EXPECT_EQ(cut.at("data").at("k0").as_string().size(), kMaxAttribute);
  EXPECT_EQ(json::parse(config_data({})), json::parse(R"({"mode":"replace","data":{}})"));
}

}  // namespace
}  // namespace otagate::hawkbit
