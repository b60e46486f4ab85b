// The vectors are what embedded-update's own encoder writes (its crate 0.12, and what came before).
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/cbor/decoder.hpp"
#include "common/device_protocols/drogue/message.hpp"
#include "common/device_protocols/drogue/text.hpp"
#include "common/testing/hex.hpp"

namespace otagate::plugins::devices::drogue {
namespace {

using otagate::testing::from_hex;
using otagate::testing::to_hex;

Status first() { return {"1.0.0", 512, {}, {}}; }
Status update() { return {"1.0.0", 512, {}, Update{"1.0.1", 1024}}; }

struct StatusVector {
  const char* hex;
  Spelling spelling;
  Status status;
};
const std::vector<StatusVector>& status_vectors() {
  static const std::vector<StatusVector> kVectors = {
      {"a46776657273696f6e45312e302e30636d74751902006e636f7272656c6174696f6e5f6964f666757064617465f6",
       Spelling::named, first()},
      {"a40045312e302e300119020002f603f6", Spelling::packed, first()},
      {"a40045312e302e3001f6020703f6", Spelling::packed, {"1.0.0", {}, 7, {}}},
      {"a40045312e302e300119020002f603a20045312e302e3101190400", Spelling::packed, update()},
      {"a46776657273696f6e45312e302e30636d74751902006e636f7272656c6174696f6e5f6964f666757064617465a2677665727"
       "3"
       "696f6e45312e302e31666f6666736574190400",
       Spelling::named, update()},
  };
  return kVectors;
}

TEST(Status, GoldenVectorsAreReadAndWrittenTheSame) {
  for (const auto& vector : status_vectors()) {
    const auto got = read_status(from_hex(vector.hex));
    ASSERT_TRUE(got) << vector.hex << ": " << got.message;
    EXPECT_EQ(got.value.status, vector.status) << vector.hex;
    EXPECT_EQ(got.value.spelling, vector.spelling) << vector.hex;
    EXPECT_EQ(to_hex(write_status(vector.status, vector.spelling)), vector.hex);
  }
}

TEST(Status, AcceptsEverySpellingThatIsInTheField) {
  const Status minimal{"1", {}, {}, {}};
  const Status with_mtu{"1", 512, {}, {}};
  const struct {
    const char* hex;
    Status status;
    Spelling spelling;
  } kAccepted[] = {
      {"a1004131", minimal, Spelling::packed},
      {"a16776657273696f6e4131", minimal, Spelling::named},
      {"a2004131636d7475190200", with_mtu, Spelling::packed},         // mixed keys
      {"a26776657273696f6e413101190200", with_mtu, Spelling::named},  // the other way round
      {"d9d9f7a1004131", minimal, Spelling::packed},                  // self-described
      {"bf004131ff", minimal, Spelling::packed},                      // indefinite map
      {"84413119020007f6", {"1", 512, 7, {}}, Spelling::packed},      // array in the order of the members
      {"844131190200f682413219 0400", {"1", 512, {}, Update{"2", 1024}}, Spelling::packed},
      {"814131", minimal, Spelling::packed},
      {"9f4131190200ff", with_mtu, Spelling::packed},
      {"a1005f4131ff", minimal, Spelling::packed},                  // a version in pieces
      {"a20041310920", minimal, Spelling::packed},                  // an unknown number
      {"a20041316578747261738301a0f5", minimal, Spelling::packed},  // an unknown name: extras
      {"a2004131187bf93c00", minimal, Spelling::packed},
      {"a20041310218ff", {"1", {}, 255, {}}, Spelling::packed},
      {"a200413102f7", minimal, Spelling::packed},                // undefined is nothing, too
      {"a20041310219000a", {"1", {}, 10, {}}, Spelling::packed},  // not the shortest head
      {"a1 00 40", {"", {}, {}, {}}, Spelling::packed},
  };
  for (const auto& vector : kAccepted) {
    std::string hex = vector.hex;
    std::erase(hex, ' ');
    const auto got = read_status(from_hex(hex));
    ASSERT_TRUE(got) << hex << ": " << got.message;
    EXPECT_EQ(got.value.status, vector.status) << hex;
    EXPECT_EQ(got.value.spelling, vector.spelling) << hex;
  }
}

TEST(Status, RefusesWithASentence) {
  const struct {
    const char* hex;
    const char* says;
  } kRefused[] = {
      {"", "empty"},
      {"a16776657273696f6e6131", "byte string"},  // a text for a version
      {"a100f6", "byte string"},
      {"a0", "must have the version"},
      {"a101190200", "must have the version"},
      {"80", "must have the version"},
      {"4131", "a map or an array"},
      {"f6", "a map or an array"},
      {"a200413100 4132", "twice"},
      {"a20041316776657273696f6e4131", "twice"},
      {"a2004131011b0000000100000000", "32 bits"},
      {"a20041310120", "32 bits"},
      {"a200413101f93c00", "32 bits"},
      {"a20041310141ff", "32 bits"},
      {"a20041310301", "a map or an array"},
      {"a200413103a1004132", "a version and an offset"},
      {"a200413103a10101", "a version and an offset"},
      {"a200413103a200413201f6", "32 bits"},
      {"a200413103814132", "a version and an offset"},
      {"a1004131ff", "more after the end"},
      {"a10041", "cut short"},
      {"a10058414141", "cut short"},
      {"a1005bffffffffffffffff", "cut short"},
      {"1c", "not CBOR"},
  };
  for (const auto& vector : kRefused) {
    std::string hex = vector.hex;
    std::erase(hex, ' ');
    const auto got = read_status(from_hex(hex));
    EXPECT_EQ(got.status, OTAGATE_INVALID) << hex;
    EXPECT_NE(got.message.find(vector.says), std::string::npos) << hex << ": " << got.message;
  }
}

TEST(Status, IsBounded) {
  const std::string longest(kMaxVersion, 'x');
  EXPECT_TRUE(read_status(write_status({longest, {}, {}, {}}, Spelling::packed)));
  EXPECT_FALSE(read_status(write_status({longest + 'x', {}, {}, {}}, Spelling::packed)));
  EXPECT_FALSE(read_status(write_status({longest + 'x', {}, {}, {}}, Spelling::json)));
  EXPECT_FALSE(read_status(write_status({"1", {}, {}, Update{longest + 'x', 0}}, Spelling::named)));
  EXPECT_FALSE(read_status("{\"version\":\"1\"" + std::string(kMaxStatus, ' ') + "}"));
  EXPECT_FALSE(read_status(std::string(kMaxStatus + 1, '\x81')));
}

TEST(Status, ReadsJson) {
  const auto got = read_status(
      R"( {"version":"1.0.0","mtu":512,"correlation_id":null,"update":{"version":"1.0.1","offset":1024},"more":[1]})");
  ASSERT_TRUE(got) << got.message;
  EXPECT_EQ(got.value.spelling, Spelling::json);
  EXPECT_EQ(got.value.status, update());
  EXPECT_EQ(read_status(R"({"version":"1"})").value.status, (Status{"1", {}, {}, {}}));
  for (const char* text :
       {"{}", R"({"version":1})", R"({"version":null})", R"({"version":["1"]})",
        R"({"version":"1","mtu":-1})", R"({"version":"1","mtu":1.5})", R"({"version":"1","mtu":512.0})",
        R"({"version":"1","mtu":"512"})", R"({"version":"1","correlation_id":4294967296})",
        R"({"version":"1","update":1})", R"({"version":"1","update":{"version":"2"}})",
        R"({"version":"1"} x)", "{", "{]", "{\"version\":\"\xff\"}"})
    EXPECT_EQ(read_status(text).status, OTAGATE_INVALID) << text;
}

TEST(Status, WhateverIsReadWritesToTheSame) {
  std::vector<Status> statuses;
  for (const std::optional<std::uint32_t> mtu :
       {std::optional<std::uint32_t>(), {0}, {23}, {24}, {4294967295}})
    for (const std::optional<std::uint32_t> id : {std::optional<std::uint32_t>(), {255}, {256}, {65536}})
      for (const auto& next : {std::optional<Update>(), {Update{"", 0}}, {Update{"2.0.0", 65535}}})
        for (const auto* version : {"", "1.0.0", "\x01\x02"}) statuses.push_back({version, mtu, id, next});
  for (const auto& status : statuses) {
    for (const auto spelling : {Spelling::packed, Spelling::named, Spelling::json}) {
      const auto again = read_status(write_status(status, spelling));
      ASSERT_TRUE(again) << again.message;
      EXPECT_EQ(again.value.status, status);
      EXPECT_EQ(again.value.spelling, spelling);
    }
  }
}

TEST(Command, GoldenVectors) {
  using What = Command::Kind;
  const Command wait{What::wait, {}, 300, "", 0, ""};
  const Command sync{What::sync, 7, 300, "1.0.0", 0, ""};
  const Command write{What::write, {}, {}, "1.0.1", 0, from_hex("deadbeef")};
  const Command swap{What::swap, 7, {}, "1.0.1", 0, from_hex("01020304")};
  const struct {
    const Command& command;
    Spelling spelling;
    const char* hex;
  } kVectors[] = {
      {wait, Spelling::packed, "a100a200f60119012c"},
      {wait, Spelling::named, "a16457616974a26e636f7272656c6174696f6e5f6964f664706f6c6c19012c"},
      {sync, Spelling::packed, "a101a30045312e302e3001070219012c"},
      {write, Spelling::packed, "a102a40045312e302e3101f602000344deadbeef"},
      {write, Spelling::named,
       "a1655772697465a46776657273696f6e45312e302e316e636f7272656c6174696f6e5f6964f6666f666673657400646461746"
       "144de"
       "adbeef"},
      {swap, Spelling::packed, "a103a30045312e302e310107024401020304"},
  };
  for (const auto& vector : kVectors)
    EXPECT_EQ(to_hex(write_command(vector.command, vector.spelling)), vector.hex);

  const auto named = cbor::decode(write_command(sync, Spelling::named));
  ASSERT_NE(named.value.find("Sync"), nullptr);
  EXPECT_EQ(named.value.find("Sync")->find("poll")->as_unsigned(), 300U);
  EXPECT_EQ(named.value.find("Sync")->find("version")->string, "1.0.0");
  const auto swapped = cbor::decode(write_command(swap, Spelling::named));
  EXPECT_EQ(swapped.value.find("Swap")->find("checksum")->string, from_hex("01020304"));
}

TEST(Command, AsJson) {
  using What = Command::Kind;
  EXPECT_EQ(write_command({What::wait, {}, 300, "", 0, ""}, Spelling::json),
            R"({"Wait":{"correlation_id":null,"poll":300}})");
  EXPECT_EQ(write_command({What::sync, 7, {}, "1.0.0", 0, ""}, Spelling::json),
            R"({"Sync":{"version":"1.0.0","correlation_id":7,"poll":null}})");
  EXPECT_EQ(
      write_command({What::write, {}, {}, "1.0.1", 4, "any carnal pleas"}, Spelling::json),
      R"({"Write":{"version":"1.0.1","correlation_id":null,"offset":4,"data":"YW55IGNhcm5hbCBwbGVhcw=="}})");
  EXPECT_EQ(write_command({What::swap, {}, {}, "1.0.1", 0, from_hex("01ff")}, Spelling::json),
            R"({"Swap":{"version":"1.0.1","correlation_id":null,"checksum":"01ff"}})");
}

TEST(Text, VersionsThatDoNotFitAnAliasOfSixteenBytes) {
  EXPECT_EQ(wire_version("1.2.3"), "1.2.3");
  EXPECT_EQ(wire_version("1234567890123456"), "1234567890123456");
  const auto alias = wire_version("12345678901234567");
  EXPECT_EQ(alias.size(), 16U);
  EXPECT_EQ(alias.substr(0, 8), "1234567~");
  EXPECT_TRUE(looks_like_alias(alias));
  EXPECT_NE(alias, wire_version("12345678901234568"));
  EXPECT_FALSE(looks_like_alias("1234567890123456"));
  EXPECT_FALSE(looks_like_alias("1234567~0123456"));
  EXPECT_FALSE(looks_like_alias("1234567~0123456Z"));
  EXPECT_FALSE(looks_like_alias(""));
}

TEST(Text, VersionsAsTextAndTheirSameness) {
  EXPECT_EQ(version_text("1.0.0"), "1.0.0");
  EXPECT_EQ(version_text(std::string("\x01\x00\xff", 3)), "0x0100ff");
  EXPECT_EQ(version_text("gr\xc3\xbcn"), "gr\xc3\xbcn");
  EXPECT_TRUE(same_version("v1.0", "1.0"));
  EXPECT_TRUE(same_version("V1.0", "v1.0"));
  EXPECT_FALSE(same_version("1.0", "1.00"));
  EXPECT_FALSE(same_version("vanilla", "anilla"));
  EXPECT_EQ(bytes_of_hex("00fFa1"), std::string("\x00\xff\xa1", 3));
  EXPECT_EQ(bytes_of_hex("0"), std::nullopt);
  EXPECT_EQ(bytes_of_hex("0g"), std::nullopt);
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("a"), "YQ==");
}

}  // namespace
}  // namespace otagate::plugins::devices::drogue
