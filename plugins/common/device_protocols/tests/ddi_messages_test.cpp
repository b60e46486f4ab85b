#include "common/device_protocols/ddi/messages.hpp"

#include <gtest/gtest.h>

#include <string>

namespace otagate::plugins::devices::ddi {
namespace {

std::string feedback(const std::string& status) { return R"({"status":{)" + status + "}}"; }

std::string wrong_with(const std::string& text) {
  std::string wrong;
  EXPECT_FALSE(parse_feedback(text, wrong)) << text;
  return wrong;
}

TEST(DdiFeedback, IsReadAsHawkbitDocumentsIt) {
  std::string wrong;
  const auto read = parse_feedback(
      R"({"timestamp":1627997501890,"status":{"execution":"closed","result":{"finished":"failure",
          "progress":{"cnt":2,"of":5}},"code":200,"details":["one","two"]}})",
      wrong);
  ASSERT_TRUE(read) << wrong;
  EXPECT_EQ(read->execution, Execution::closed);
  EXPECT_EQ(read->finished, Finished::failure);
  EXPECT_EQ(read->count, 2U);
  EXPECT_EQ(read->of, 5U);
  EXPECT_EQ(read->code, 200);
  EXPECT_EQ(read->details, "one; two");
}

// As SWUpdate 2022.12 sends it, word by word.
TEST(DdiFeedback, OfSuricattaIsUnderstood) {
  std::string wrong;
  const auto read = parse_feedback(
      R"({ "id": 7, "time": "20261121T200245", "status": { "result": { "progress": { "cnt" : 1, "of" : 0 },)"
      R"( "finished": "none" }, "execution": "proceeding", "details" : [ "Installing Update Chunk Artifacts." ] } })",
      wrong);
  ASSERT_TRUE(read) << wrong;
  EXPECT_EQ(read->execution, Execution::proceeding);
  EXPECT_EQ(share_of(*read, 1000), 0U);
}

TEST(DdiFeedback, KnowsEveryExecution) {
  for (const char* execution :
       {"closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "downloaded", "download"}) {
    std::string wrong;
    EXPECT_TRUE(parse_feedback(
        feedback(R"("execution":")" + std::string(execution) + R"(","result":{"finished":"none"})"), wrong))
        << wrong;
  }
}

TEST(DdiFeedback, SaysWhatIsMissingOrUnknown) {
  EXPECT_EQ(wrong_with(""), "the body must be a JSON object");
  EXPECT_EQ(wrong_with("[]"), "the body must be a JSON object");
  EXPECT_EQ(wrong_with("{}"), "status must be an object");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed")")), "status.result must be an object");
  EXPECT_EQ(wrong_with(feedback(R"("result":{"finished":"none"})")), "status.execution must be a string");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed","result":{})")),
            "status.result.finished must be a string");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed","result":{"finished":"maybe"})")),
            "status.result.finished must be one of success, failure, none");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"Closed","result":{"finished":"none"})")),
            "status.execution must be one of closed, proceeding, canceled, scheduled, rejected, resumed, "
            "downloaded, download");
  EXPECT_EQ(wrong_with(feedback(
                R"("execution":"closed","result":{"finished":"none","progress":{"cnt":-1,"of":2}})")),
            "status.result.progress.cnt must be a whole number from 0 on");
  EXPECT_EQ(wrong_with(feedback(
                R"("execution":"closed","result":{"finished":"none","progress":{"cnt":1,"of":"2"}})")),
            "status.result.progress.of must be a whole number from 0 on");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed","result":{"finished":"none"},"code":"x")")),
            "code must be a whole number");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed","result":{"finished":"none"},"details":"x")")),
            "details must be a list of strings");
  EXPECT_EQ(wrong_with(feedback(R"("execution":"closed","result":{"finished":"none"},"details":[1])")),
            "details must be a list of strings");
  EXPECT_EQ(wrong_with(std::string(kMaxBody + 1, ' ')), "the message is longer than 64 KiB");
  EXPECT_FALSE(wrong_with(std::string(5000, '[')).empty());
}

// hawkBit accepts it, and RAUC's client in Python says so: "percentage" is a member of its own.
TEST(DdiFeedback, AProgressThatNamesNoShareIsNone) {
  for (const char* progress : {"{}", R"({"percentage":40})", R"({"cnt":null,"of":3})", R"({"cnt":1})"}) {
    std::string wrong;
    const auto read =
        parse_feedback(feedback(R"("execution":"proceeding","result":{"finished":"none","progress":)" +
                                std::string(progress) + "}"),
                       wrong);
    ASSERT_TRUE(read) << progress << ": " << wrong;
    EXPECT_EQ(share_of(*read, 1000), 0U) << progress;
  }
}

TEST(DdiFeedback, DetailsAreBoundedAndPlain) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += R"("zeile \u00fc\n\u0007",)";
  lines += R"("end")";
  std::string wrong;
  const auto read = parse_feedback(
      feedback(R"("execution":"closed","result":{"finished":"none"},"details":[)" + lines + "]"), wrong);
  ASSERT_TRUE(read) << wrong;
  EXPECT_LE(read->details.size(), kMaxDetails);
  EXPECT_GE(read->details.size(), kMaxDetails - 4);
  EXPECT_TRUE(read->details.starts_with("zeile \xC3\xBC  ; zeile"));
  EXPECT_EQ(read->details.find('\n'), std::string::npos);
  // A character at the end is there as a whole or not at all, wherever the bound falls.
  for (const std::string& character :
       {std::string("\xC3\xBC"), std::string("\xE2\x82\xAC"), std::string("\xF0\x9F\x98\x80")}) {
    for (std::size_t lead = 0; lead < 4; ++lead) {
      std::string text(lead, 'x');
      while (text.size() < 2 * kMaxDetails) text += character;
      const auto cut = parse_feedback(
          feedback(R"("execution":"closed","result":{"finished":"none"},"details":[")" + text + "\"]"),
          wrong);
      ASSERT_TRUE(cut) << wrong;
      EXPECT_EQ((cut->details.size() - lead) % character.size(), 0U);
      EXPECT_GT(cut->details.size(), kMaxDetails - character.size());
    }
  }
}

TEST(DdiFeedback, CodesThatDoNotFitAreNone) {
  std::string wrong;
  for (const char* code : {"99999999999", "-99999999999", "18446744073709551615", "null"}) {
    const auto read = parse_feedback(
        feedback(R"("execution":"closed","result":{"finished":"none"},"code":)" + std::string(code)), wrong);
    ASSERT_TRUE(read) << wrong;
    EXPECT_EQ(read->code, 0);
  }
}

TEST(DdiShare, NeverExceedsTheSize) {
  const auto share = [](std::uint64_t count, std::uint64_t of, std::uint64_t size) {
    Feedback feedback;
    feedback.count = count;
    feedback.of = of;
    return share_of(feedback, size);
  };
  EXPECT_EQ(share(1, 4, 1000), 250U);
  EXPECT_EQ(share(4, 4, 1001), 1001U);
  EXPECT_EQ(share(0, 4, 1001), 0U);
  EXPECT_EQ(share(0, 0, 1001), 0U);
  EXPECT_EQ(share(5, 4, 1001), 0U);
  const std::uint64_t most = ~std::uint64_t{0};
  EXPECT_LE(share(most - 1, most, std::uint64_t{1} << 62), std::uint64_t{1} << 62);
}

TEST(DdiConfigData, HasModesAndStrings) {
  std::string wrong;
  const auto read =
      parse_config_data(R"({"mode":"replace","data":{"VIN":"JH4","hw":"2","none":null}})", wrong);
  ASSERT_TRUE(read) << wrong;
  EXPECT_EQ(read->mode, ConfigData::Mode::replace);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"VIN", "JH4"}, {"hw", "2"}, {"none", ""}};
  EXPECT_EQ(read->data, expected);
  for (const char* bad :
       {"{}", R"({"data":[]})", R"({"data":{"a":1}})", R"({"mode":"all","data":{}})", "nothing"}) {
    EXPECT_FALSE(parse_config_data(bad, wrong)) << bad;
    EXPECT_FALSE(wrong.empty());
  }
  std::string many;
  for (std::size_t i = 0; i <= kMaxData; ++i)
    many += (i == 0 ? "" : ",") + std::string("\"k") + std::to_string(i) + "\":\"\"";
  EXPECT_FALSE(parse_config_data(R"({"data":{)" + many + "}}", wrong));
  EXPECT_EQ(wrong, "data has more than 100 members");
}

TEST(DdiAssignedVersion, NeedsBoth) {
  std::string wrong;
  const auto read = parse_assigned_version(R"({"name":"app","version":"1.2.3"})", wrong);
  ASSERT_TRUE(read) << wrong;
  EXPECT_EQ(read->name, "app");
  EXPECT_EQ(read->version, "1.2.3");
  EXPECT_FALSE(parse_assigned_version(R"({"name":"app"})", wrong));
  EXPECT_EQ(wrong, "version must be a string");
  EXPECT_FALSE(parse_assigned_version(R"({"name":"app","version":""})", wrong));
}

TEST(DdiConfirmation, IsYesOrNo) {
  std::string wrong;
  const auto yes = parse_confirmation(R"({"confirmation":"confirmed","code":200,"details":["ok"]})", wrong);
  ASSERT_TRUE(yes) << wrong;
  EXPECT_TRUE(yes->confirmed);
  const auto no = parse_confirmation(R"({"confirmation":"denied"})", wrong);
  ASSERT_TRUE(no) << wrong;
  EXPECT_FALSE(no->confirmed);
  EXPECT_FALSE(parse_confirmation(R"({"confirmation":true})", wrong));
  EXPECT_FALSE(parse_confirmation(R"({"confirmation":"perhaps"})", wrong));
  EXPECT_EQ(wrong, "confirmation must be one of confirmed, denied");
}

}  // namespace
}  // namespace otagate::plugins::devices::ddi
