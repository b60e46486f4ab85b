#include "firmware/index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace otagate::firmware {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kFirmware = R"(# what there is
{"name": "modem", "description": "LTE modem", "deviceType": "nrf9160"}

{"name": "app", "description": "without a type"}
)";
constexpr std::string_view kVersions = R"({"key": "fw/modem 1.3.2.zip", "name": "modem", "version": "1.3.2"}
{"key": "app.bin", "name": "app", "version": "v2"}
{"key": "orphan.bin", "name": "orphan", "version": "1"})";

template <class Index>
Index read(std::string_view text, std::size_t step = std::string_view::npos) {
  Index index;
  while (!text.empty()) {
    EXPECT_TRUE(index.feed(text.substr(0, step)));
    text.remove_prefix(std::min(step, text.size()));
  }
  index.finish();
  return index;
}

TEST(Index, ReadsBothFilesHoweverTheyAreCut) {
  for (std::size_t step = 1; step < kVersions.size(); ++step) {
    const auto firmware = read<FirmwareIndex>(kFirmware, step);
    const auto versions = read<VersionIndex>(kVersions, step);
    ASSERT_EQ(firmware.size(), 2u) << step;
    ASSERT_EQ(versions.entries().size(), 3u) << step;
    EXPECT_EQ(firmware.problem_count() + versions.problem_count(), 0u) << step;
    EXPECT_EQ(firmware.find("modem")->description, "LTE modem");
  }
}

TEST(Index, ClaimsPutBothFilesTogether) {
  const auto firmware = read<FirmwareIndex>(kFirmware);
  const auto versions = read<VersionIndex>(kVersions);
  const std::optional<Claim> modem = claim_from_index(firmware, versions, "fw/modem 1.3.2.zip");
  ASSERT_TRUE(modem);
  EXPECT_EQ(modem->name, "modem");
  EXPECT_EQ(modem->version, "1.3.2");
  EXPECT_EQ(modem->type, "nrf9160");
  EXPECT_FALSE(claim_from_index(firmware, versions, "app.bin")->type);
  EXPECT_FALSE(claim_from_index(firmware, versions, "orphan.bin")->type);
  EXPECT_FALSE(claim_from_index(firmware, versions, "none"));
}

TEST(Index, BadLinesAreReportedWithTheirNumberAndSkipped) {
  const auto index = read<VersionIndex>(
      "\xEF\xBB\xBF# BOM and comment\r\n"
      "{\"key\": \"a\", \"name\": \"n\", \"version\": \"1\"}\r\n"
      "{oops}\n"
      "{\"key\": \"b\", \"name\": \"n\"}\n"
      "{\"key\": \"c\", \"name\": \"a/b\", \"version\": \"1\"}\n"
      "{\"key\": 3, \"name\": \"n\", \"version\": \"1\"}\n"
      "{\"key\": \"a\", \"name\": \"n\", \"version\": \"2\"}\n"
      "   \n"
      "{\"key\": \"d\", \"name\": \"n\", \"version\": \"1\"}");
  EXPECT_EQ(index.entries().size(), 2u);
  EXPECT_EQ(index.find("a")->version, "1");
  ASSERT_EQ(index.problems().size(), 5u);
  const std::pair<std::size_t, const char*> wanted[] = {{3, "is not JSON"},
                                                        {4, "\"version\" is missing"},
                                                        {5, "slash"},
                                                        {6, "\"key\" is not a string"},
                                                        {7, "was there before"}};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(index.problems()[i].line, wanted[i].first);
    EXPECT_THAT(index.problems()[i].reason, HasSubstr(wanted[i].second));
  }
}

TEST(Index, IsBoundedInLineFileAndProblems) {
  const std::string good = "{\"key\": \"a\", \"name\": \"n\", \"version\": \"1\"}\n";
  for (const std::size_t step : {std::size_t{1000}, std::string_view::npos}) {
    const auto overlong = read<VersionIndex>(std::string(kMaxIndexLine + 1, 'x') + '\n' + good, step);
    EXPECT_EQ(overlong.entries().size(), 1u);
    ASSERT_EQ(overlong.problems().size(), 1u);
    EXPECT_THAT(overlong.problems()[0].reason, HasSubstr("longer than 64 KiB"));
  }
  std::string bad;
  for (int i = 0; i < 1000; ++i) bad += "?\n";
  const auto many = read<VersionIndex>(bad);
  EXPECT_EQ(many.problems().size(), IndexFile::kMaxProblems);
  EXPECT_EQ(many.problem_count(), 1000u);
  VersionIndex large;
  const std::string comment = '#' + std::string((1 << 20) - 2, 'x') + '\n';
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(large.feed(comment));
  EXPECT_THAT(large.feed("#").error().message(), HasSubstr("larger than 16 MiB"));
  EXPECT_FALSE(large.feed("#"));
}

}  // namespace
}  // namespace otagate::firmware
