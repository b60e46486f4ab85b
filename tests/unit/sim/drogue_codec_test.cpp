#include "drogue_codec.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace otagate::sim {
namespace {

// Written by embedded-update's own encoder.
TEST(DrogueStatus, IsWrittenAsEmbeddedUpdateWritesIt) {
  const DrogueStatus first{"1.0.0", 512, std::nullopt, std::nullopt};
  EXPECT_EQ(hex(encode(first, DrogueFormat::packed)), "a40045312e302e300119020002f603f6");
  EXPECT_EQ(hex(encode(first, DrogueFormat::named)),
            "a46776657273696f6e45312e302e30636d74751902006e636f7272656c6174696f6e5f6964f666757064617465f6");
  const DrogueStatus numbered{"1.0.0", std::nullopt, 7, std::nullopt};
  EXPECT_EQ(hex(encode(numbered, DrogueFormat::packed)), "a40045312e302e3001f6020703f6");
  const DrogueStatus update{"1.0.0", 512, std::nullopt, DrogueStatus::Update{"1.0.1", 1024}};
  EXPECT_EQ(hex(encode(update, DrogueFormat::packed)),
            "a40045312e302e300119020002f603a20045312e302e3101190400");
  EXPECT_EQ(hex(encode(update, DrogueFormat::named)),
            "a46776657273696f6e45312e302e30636d74751902006e636f7272656c6174696f6e5f6964f666757064617465a26776"
            "657273696f6e45312e302e31666f6666736574190400");
}

TEST(DrogueStatus, IsWrittenInJson) {
  const DrogueStatus update{"1.0.0", 512, 3, DrogueStatus::Update{"1.0.1", 1024}};
  EXPECT_EQ(encode(update, DrogueFormat::json),
            R"({"version":"1.0.0","mtu":512,"correlation_id":3,"update":{"version":"1.0.1","offset":1024}})");
}

DrogueCommand decoded(std::string_view hexed) {
  const auto command = decode_command(from_hex(hexed), false);
  EXPECT_TRUE(command) << hexed;
  return command.value_or(DrogueCommand{});
}

TEST(DrogueCommand, IsReadInBothSpellings) {
  for (const auto* wait :
       {"a100a200f60119012c", "a16457616974a26e636f7272656c6174696f6e5f6964f664706f6c6c19012c"}) {
    const auto command = decoded(wait);
    EXPECT_EQ(command.kind, DrogueCommand::Kind::wait);
    EXPECT_EQ(command.poll, 300U);
    EXPECT_EQ(command.correlation_id, std::nullopt);
  }
  for (const auto* write :
       {"a102a40045312e302e3101f602000344deadbeef",
        "a1655772697465a46776657273696f6e45312e302e316e636f7272656c6174696f6e5f6964f6666f66"
        "667365740064646174"
        "6144deadbeef"}) {
    const auto command = decoded(write);
    EXPECT_EQ(command.kind, DrogueCommand::Kind::write);
    EXPECT_EQ(command.version, "1.0.1");
    EXPECT_EQ(command.offset, 0U);
    EXPECT_EQ(hex(command.data), "deadbeef");
  }
  const auto sync = decoded("a101a30045312e302e3001070219012c");
  EXPECT_EQ(sync.kind, DrogueCommand::Kind::sync);
  EXPECT_EQ(sync.version, "1.0.0");
  EXPECT_EQ(sync.correlation_id, 7U);
  EXPECT_EQ(sync.poll, 300U);
  const auto swap = decoded("a103a30045312e302e310107024401020304");
  EXPECT_EQ(swap.kind, DrogueCommand::Kind::swap);
  EXPECT_EQ(swap.correlation_id, 7U);
  EXPECT_EQ(hex(swap.checksum), "01020304");
}

TEST(DrogueCommand, UnknownFieldsAreSkipped) {
  // {0: {1: 5, 9: [1, {2: h'00'}], "new": "x"}}
  const auto wait = decoded(
      "a100a301050982"
      "01"
      "a1024100"
      "636e65776178");
  EXPECT_EQ(wait.poll, 5U);
}

TEST(DrogueCommand, WhatIsMalformedIsRefused) {
  for (const auto* bad : {"", "a1", "a2", "a104a0", "a16477616974a0", "8200a0", "a100", "a100a20",
                          "a101a1006531"
                          "2e302e30",                                  // a version that is text
                          "a102a10344deadbe",                          // cut
                          "a102a1035bffffffffffffffff",                // longer than there is
                          "a100a10981818181818181818181818181818100",  // nested without end
                          "a100a000",                                  // something behind it
                          "a100bf0105ff"}) {
    const std::string bytes = std::string_view(bad).size() % 2 == 0 ? from_hex(bad) : from_hex(bad) + '\0';
    EXPECT_FALSE(decode_command(bytes, false)) << bad;
  }
  // Every cut of a good one.
  const auto whole = from_hex("a102a40045312e302e3101f602000344deadbeef");
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_FALSE(decode_command(whole.substr(0, i), false)) << i;
}

TEST(DrogueCommand, IsReadFromJson) {
  const auto write = decode_command(
      R"({"Write":{"version":"1.0.1","correlation_id":2,"offset":4,"data":"3q2+7w=="}})", true);
  ASSERT_TRUE(write);
  EXPECT_EQ(write->kind, DrogueCommand::Kind::write);
  EXPECT_EQ(write->correlation_id, 2U);
  EXPECT_EQ(write->offset, 4U);
  EXPECT_EQ(hex(write->data), "deadbeef");
  const auto swap =
      decode_command(R"({"Swap":{"version":"1.0.1","correlation_id":2,"checksum":"0a1B"}})", true);
  ASSERT_TRUE(swap);
  EXPECT_EQ(hex(swap->checksum), "0a1b");
  EXPECT_FALSE(decode_command(R"({"Swap":{"checksum":"0"}})", true));
  EXPECT_FALSE(decode_command(R"({"Swap":{"checksum":"0x"}})", true));
  EXPECT_FALSE(decode_command(R"({"write":{}})", true));
  EXPECT_FALSE(decode_command(R"({"Write":{"data":"*"}})", true));
  EXPECT_FALSE(decode_command("[]", true));
}

}  // namespace
}  // namespace otagate::sim
