#include "firmware/identity.hpp"

#include <gtest/gtest.h>

#include <string>

namespace otagate::firmware {
namespace {

TEST(CheckName, TakesWhatCanStandInAUrl) {
  for (const char* name : {"app", "my app", "a.b-c_d+e", "\xc3\xbc", "...", "\xf0\x9f\x93\xa6", "%2e%2e"})
    EXPECT_TRUE(check_name(name)) << name;
  EXPECT_TRUE(check_name(std::string(kMaxName, 'x')));
}

TEST(CheckName, RefusesWhatCouldEscapeOrConfuse) {
  const std::pair<std::string, const char*> table[] = {
      {"", "empty"},
      {".", "\".\""},
      {"..", "\"..\""},
      {"a/b", "slash"},
      {"a\\b", "slash"},
      {std::string("a\0b", 3), "control"},
      {"a\nb", "control"},
      {"a\x7f", "control"},
      {"a\xc2\x85", "control"},
      {" a", "space"},
      {"a ", "space"},
      {"\xff", "UTF-8"},
      {"\xc3", "UTF-8"},
      {"\xc0\xaf", "UTF-8"},
      {"\xe0\x80\xaf", "UTF-8"},
      {"\xed\xa0\x80", "UTF-8"},
      {"\xf4\x90\x80\x80", "UTF-8"},
      {std::string(kMaxName + 1, 'x'), "longer"},
  };
  for (const auto& [name, why] : table) {
    const Result<void> result = check_name(name);
    ASSERT_FALSE(result) << why;
    EXPECT_NE(result.error().message().find(why), std::string::npos) << result.error().message();
  }
}

TEST(CheckVersion, LatestIsNoVersion) {
  EXPECT_FALSE(check_version("latest"));
  EXPECT_TRUE(check_version("latest-1"));
  EXPECT_TRUE(check_name("latest"));
}

TEST(Kind, ParsesItsOwnNames) {
  for (const Kind kind : {Kind::firmware, Kind::software, Kind::patch})
    EXPECT_EQ(parse_kind(to_string(kind)), kind);
  EXPECT_EQ(parse_kind("Firmware"), std::nullopt);
}

}  // namespace
}  // namespace otagate::firmware
