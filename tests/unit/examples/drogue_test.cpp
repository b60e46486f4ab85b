// The core of the Zephyr example: compiled here as C99, as the device would.
#include "drogue.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes from_hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string hex(const std::uint8_t* bytes, std::size_t length) {
  std::string out;
  for (std::size_t i = 0; i < length; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4U];
    out += "0123456789abcdef"[bytes[i] & 15U];
  }
  return out;
}

drogue_device device(std::uint32_t next_correlation_id = 1) {
  drogue_device made;
  EXPECT_TRUE(drogue_init(&made, "1.0.0", 512, 4));
  made.correlation_id = next_correlation_id - 1;
  return made;
}

std::string status(drogue_device& made) {
  std::array<std::uint8_t, DROGUE_MAX_STATUS> out;
  const auto length = drogue_status(&made, out.data(), out.size());
  return hex(out.data(), length);
}

drogue_step command(const drogue_device& made, const Bytes& bytes) {
  return drogue_command(&made, bytes.data(), bytes.size());
}

// As embedded-update's own encoder writes them, but for the correlation id, which this device always has.
TEST(DrogueStatus, IsWhatEmbeddedUpdateWrites) {
  auto made = device(7);
  EXPECT_EQ(status(made),
            "a40045312e302e30011902000207"
            "03f6");
  const auto write = from_hex("a102a40045312e302e3101f602000344deadbeef");
  ASSERT_EQ(command(made, write).action, DROGUE_WRITE);
  drogue_written(&made, write.data(), write.size());
  made.offset = 1024;
  EXPECT_EQ(status(made), "a40045312e302e3001190200020803a20045312e302e3101190400");
}

TEST(DrogueStatus, FitsAtItsLargest) {
  drogue_device made;
  ASSERT_TRUE(drogue_init(&made, "1234567890123456", 0xFFFFFFFF, 1));
  made.coming = made.running;
  made.offset = made.correlation_id = 0xF0000000;
  std::array<std::uint8_t, DROGUE_MAX_STATUS> out;
  const auto length = drogue_status(&made, out.data(), out.size());
  EXPECT_GT(length, 0U);
  for (std::size_t size = 0; size < length; ++size)
    EXPECT_EQ(drogue_status(&made, out.data(), size), 0U) << size;
}

TEST(DrogueInit, RefusesVersionsThatAreTooLong) {
  drogue_device made;
  EXPECT_FALSE(drogue_init(&made, "", 512, 4));
  EXPECT_FALSE(drogue_init(&made, "12345678901234567", 512, 4));
  EXPECT_FALSE(drogue_init(&made, "1", 2, 4));
}

// embedded-update's vectors.
TEST(DrogueCommand, IsRead) {
  auto made = device(7);
  status(made);
  const auto wait = command(made, from_hex("a100a200f60119012c"));
  EXPECT_EQ(wait.action, DROGUE_NOTHING);
  EXPECT_EQ(wait.wait_s, 300U);
  const auto sync = command(made, from_hex("a101a30045312e302e3001070219012c"));
  EXPECT_EQ(sync.action, DROGUE_NOTHING);
  EXPECT_EQ(sync.wait_s, 300U);
  const auto bytes = from_hex("a102a40045312e302e3101f602000344deadbeef");
  const auto write = command(made, bytes);
  EXPECT_EQ(write.action, DROGUE_WRITE);
  EXPECT_EQ(write.offset, 0U);
  EXPECT_EQ(hex(write.data, write.length), "deadbeef");
  drogue_written(&made, bytes.data(), bytes.size());
  EXPECT_EQ(made.offset, 4U);
  const std::string sum(64, 'a');
  const auto swap = command(made, from_hex("a103a30045312e302e310107025820" + sum));
  EXPECT_EQ(swap.action, DROGUE_SWAP);
  EXPECT_TRUE(swap.has_checksum);
  EXPECT_EQ(hex(swap.sha256, 32), sum);
  // A checksum of another length is none that this device can check.
  EXPECT_EQ(command(made, from_hex("a103a30045312e302e310107024401020304")).action, DROGUE_MALFORMED);
}

TEST(DrogueCommand, UnknownFieldsAreSkipped) {
  const auto made = device(1);
  const auto wait = command(made, from_hex("a100a3010509820"
                                           "1a1024100636e65776178"));
  EXPECT_EQ(wait.action, DROGUE_NOTHING);
  EXPECT_EQ(wait.wait_s, 5U);
}

TEST(DrogueCommand, WhatDoesNotFitTheDeviceIsRefused) {
  auto made = device(1);
  status(made);
  // Offset 8 before 0 to 7; a late answer; more than the mtu; a Swap to what it has nothing of; no version.
  EXPECT_EQ(command(made, from_hex("a102a40045312e302e3101f602080344deadbeef")).action, DROGUE_MALFORMED);
  EXPECT_EQ(command(made, from_hex("a102a40045312e302e31010902000344deadbeef")).action, DROGUE_MALFORMED);
  auto narrow = made;
  narrow.mtu = 3;
  EXPECT_EQ(command(narrow, from_hex("a102a40045312e302e3101f602000344deadbeef")).action, DROGUE_MALFORMED);
  EXPECT_EQ(command(made, from_hex("a103a10045312e302e31")).action, DROGUE_MALFORMED);
  EXPECT_EQ(command(made, from_hex("a102a2020003"
                                   "44deadbeef"))
                .action,
            DROGUE_MALFORMED);
  // Behind a block of three bytes there can be no other one.
  const auto three = from_hex("a102a40045312e302e3101f602000343deadbe");
  drogue_written(&made, three.data(), three.size());
  EXPECT_EQ(made.offset, 3U);
  EXPECT_EQ(command(made, from_hex("a102a40045312e302e3101f602030344deadbeef")).action, DROGUE_MALFORMED);
  // From the beginning is always possible, also of another version.
  EXPECT_EQ(command(made, from_hex("a102a40045312e302e3201f602000344deadbeef")).action, DROGUE_WRITE);
}

TEST(DrogueCommand, WhatIsMalformedIsRefused) {
  const auto made = device(1);
  for (const auto* bad : {"", "a1", "a0", "a104a0", "8200a0", "a100bf0105ff", "a100a000",
                          "a101a1006531"
                          "2e302e30",
                          "a102a1035bffffffffffffffff", "a100a1098181818181818181818100", "a100a109ba",
                          "a102a10051"
                          "0102030405060708090a0b0c0d0e0f1011"}) {
    EXPECT_EQ(command(made, from_hex(bad)).action, DROGUE_MALFORMED) << bad;
  }
  const auto whole = from_hex("a102a40045312e302e3101f602000344deadbeef");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(command(made, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(i))).action,
              DROGUE_MALFORMED)
        << i;
  }
}

// With ASan: whatever comes, nothing outside of it is read.
TEST(DrogueCommand, SurvivesAnyBytes) {
  std::mt19937 random(1);
  const auto good = from_hex("a102a40045312e302e3101f602000344deadbeef");
  for (int i = 0; i < 200'000; ++i) {
    auto bytes = good;
    for (unsigned changes = random() % 4; changes-- > 0;) {
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    auto made = device(1);
    const auto step = command(made, bytes);
    if (step.action == DROGUE_WRITE) {
      EXPECT_GE(step.data, bytes.data());
      EXPECT_LE(step.data + step.length, bytes.data() + bytes.size());
      drogue_written(&made, bytes.data(), bytes.size());
      EXPECT_EQ(made.offset, step.length);
    }
  }
}

}  // namespace
