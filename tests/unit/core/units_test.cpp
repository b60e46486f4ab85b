#include "core/units.hpp"

#include <gtest/gtest.h>

namespace otagate {
namespace {

using namespace std::chrono_literals;

TEST(ParseSize, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("512").value(), 512u);
  EXPECT_EQ(parse_size("512B").value(), 512u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("64K").value(), 65536u);
  EXPECT_EQ(parse_size("8GB").value(), 8'000'000'000u);
  EXPECT_EQ(parse_size("1.5GiB").value(), 1'610'612'736u);
  EXPECT_EQ(parse_size(" 20 MiB ").value(), 20u << 20);
  EXPECT_EQ(parse_size("20mib").value(), 20u << 20);
}

TEST(ParseSize, RefusesWhatIsNoSizeAndSaysWhatToWrite) {
  for (const char* text : {"", " ", "MiB", "-1", "1.5", "1.", ".5KiB", "1.1234567KiB", "20 Mib x", "20MiB/s",
                           "1e3", "99999999999999999999", "16777216TiB", "0x10"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_NE(size.error().message().find("20MiB"), std::string::npos) << text;
  }
}

TEST(ParseDuration, AddsUpItsParts) {
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("30s").value(), 30s);
  EXPECT_EQ(parse_duration("1h30m").value(), 90min);
  EXPECT_EQ(parse_duration("1h 30min").value(), 90min);
  EXPECT_EQ(parse_duration("7d").value(), 168h);
  EXPECT_EQ(parse_duration("1.5s").value(), 1500ms);
}

TEST(ParseDuration, NeedsAUnit) {
  for (const char* text : {"", "30", "s", "5 parsecs", "-3s", "1h-3m", "999999999999999w", "1.5ms"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ParseRate, TakesBytesAndBitsPerSecond) {
  EXPECT_EQ(parse_rate("4MiB/s").value(), 4u << 20);
  EXPECT_EQ(parse_rate("500KB/s").value(), 500'000u);
  EXPECT_EQ(parse_rate("10Mbit/s").value(), 1'250'000u);
  for (const char* text : {"4MiB", "4MiB/h", "/s", "fast"}) EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(FormatSize, ParsesBackToTheSame) {
  for (const std::uint64_t size : {0ull, 1ull, 1023ull, 1024ull, 1500ull, 20ull << 20, 5ull << 40})
    EXPECT_EQ(parse_size(format_size(size)).value(), size);
  EXPECT_EQ(format_size(20 << 20), "20MiB");
}

TEST(FormatDuration, ParsesBackToTheSame) {
  for (const auto duration : {0ms, 1ms, 1500ms, 90min + 0ms, 25h + 1ms})
    EXPECT_EQ(parse_duration(format_duration(duration)).value(), duration);
  EXPECT_EQ(format_duration(90min), "1h30m");
}

}  // namespace
}  // namespace otagate
