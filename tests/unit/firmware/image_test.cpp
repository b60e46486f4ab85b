#include "firmware/image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>

namespace otagate::firmware {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Bytes golden(const std::string& name) {
  std::ifstream in(std::string(OTAGATE_TEST_DATA) + '/' + name + ".hex");
  EXPECT_TRUE(in) << name;
  Bytes bytes;
  for (std::string line; std::getline(in, line);)
    for (std::size_t i = 0; i + 1 < line.size(); i += 2)
      bytes.push_back(static_cast<std::byte>(std::strtoul(line.substr(i, 2).c_str(), nullptr, 16)));
  return bytes;
}

// Fails the test if asked for a byte that is not there.
ReadAt reader(const Bytes& image) {
  return [&image](std::uint64_t offset, std::span<std::byte> into) -> Result<void> {
    EXPECT_LE(offset, image.size());
    EXPECT_LE(into.size(), image.size() - std::min<std::uint64_t>(offset, image.size()));
    if (offset > image.size() || into.size() > image.size() - offset)
      return fail(Code::internal, "beyond the end");
    std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  };
}

FormatCheck checked(const Bytes& image) {
  const Result<FormatCheck> result = check_format(reader(image), image.size());
  EXPECT_TRUE(result) << result.error().message();
  return result.value_or(FormatCheck{});
}

template <class Int>
void put(Bytes& bytes, Int value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

void append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

struct Tlv {
  std::uint16_t type;
  Bytes data;
};

Bytes area(std::uint16_t magic, const std::vector<Tlv>& tlvs) {
  Bytes body;
  for (const Tlv& tlv : tlvs) {
    put<std::uint16_t>(body, tlv.type);
    put<std::uint16_t>(body, static_cast<std::uint16_t>(tlv.data.size()));
    append(body, tlv.data);
  }
  Bytes out;
  put<std::uint16_t>(out, magic);
  put<std::uint16_t>(out, static_cast<std::uint16_t>(4 + body.size()));
  append(out, body);
  return out;
}

struct Mcuboot {
  Bytes body = Bytes(100, std::byte{0x5A});
  std::uint32_t flags = 0;
  std::vector<Tlv> protected_tlvs, tlvs;
  bool hashed = true;

  Bytes build() const {
    const Bytes inner = protected_tlvs.empty() ? Bytes{} : area(0x6908, protected_tlvs);
    Bytes image;
    put<std::uint32_t>(image, 0x96f3b83d);
    put<std::uint32_t>(image, 0);
    put<std::uint16_t>(image, 32);
    put<std::uint16_t>(image, static_cast<std::uint16_t>(inner.size()));
    put<std::uint32_t>(image, static_cast<std::uint32_t>(body.size()));
    put<std::uint32_t>(image, flags);
    for (const std::uint8_t part : {1, 2}) put<std::uint8_t>(image, part);
    put<std::uint16_t>(image, 3);
    put<std::uint32_t>(image, 0);
    put<std::uint32_t>(image, 0);
    append(image, body);
    append(image, inner);
    std::vector<Tlv> outer = tlvs;
    if (hashed) {
      const Digest digest = Sha256::of(std::span<const std::byte>(image));
      outer.insert(outer.begin(), {0x10, Bytes(digest.bytes.begin(), digest.bytes.end())});
    }
    append(image, area(0x6907, outer));
    return image;
  }
};

TEST(Probe, ReadsWhatTheGoldenImagesSay) {
  const ImageInfo mcuboot = probe(golden("mcuboot_signed"));
  EXPECT_EQ(mcuboot.format, Format::mcuboot);
  EXPECT_EQ(mcuboot.version, "1.2.3+4");
  EXPECT_EQ(mcuboot.name, "");
  EXPECT_FALSE(mcuboot.encrypted);
  EXPECT_EQ(probe(golden("mcuboot_sha512")).version, "2.0.0");
  EXPECT_TRUE(probe(golden("mcuboot_encrypted")).encrypted);
  const ImageInfo esp = probe(golden("esp32s3_app"));
  EXPECT_EQ(esp.format, Format::esp_idf);
  EXPECT_EQ(esp.name, "blink-sensor");
  EXPECT_EQ(esp.version, "v1.4.2-rc.1");
  EXPECT_EQ(esp.type, "esp32s3");
}

Format format_of(std::string_view head) {
  return probe(std::as_bytes(std::span(head.data(), head.size()))).format;
}

TEST(Probe, RecognisesOtherFormatsByTheirMagic) {
  using namespace std::string_view_literals;
  EXPECT_EQ(format_of("\x7f"
                      "ELF\x02\x01"sv),
            Format::elf);
  EXPECT_EQ(format_of(":020000040800F2\n"sv), Format::intel_hex);
  EXPECT_EQ(format_of(":020000040800F3\n"sv), Format::unknown);
  EXPECT_EQ(format_of(":FF0000"sv), Format::unknown);
  std::string uf2(512, '\0');
  uf2.replace(0, 8, "UF2\nWQ]\x9e");
  uf2.replace(508, 4, "\x30\x6f\xb1\x0a");
  EXPECT_EQ(format_of(uf2), Format::uf2);
  EXPECT_EQ(format_of(std::string_view(uf2).substr(0, 511)), Format::unknown);
  const auto zip_entry = [](const std::string& name, const std::string& data) {
    std::string entry("PK\x03\x04", 4);
    entry += std::string(14, '\0');
    entry += std::string(1, static_cast<char>(data.size())) + std::string(3, '\0') + std::string(4, '\0');
    entry += std::string(1, static_cast<char>(name.size())) + std::string(3, '\0');
    return entry + name + data;
  };
  EXPECT_EQ(format_of(zip_entry("app.bin", "data") + zip_entry("manifest.json", "{}")), Format::nordic_dfu);
  EXPECT_EQ(format_of(zip_entry("app.bin", "data")), Format::zip);
  EXPECT_EQ(format_of(""sv), Format::unknown);
  EXPECT_EQ(format_of("\xe9\x10 not an ESP image, just a jump"sv), Format::unknown);
}

TEST(Probe, TextFieldsThatAreNoTextAreLeftOut) {
  Bytes image = golden("esp32s3_app");
  std::fill_n(image.begin() + 32 + 48, 32, std::byte{'x'});  // no NUL at the end
  EXPECT_EQ(probe(image).name, std::string(32, 'x'));
  image[32 + 48] = std::byte{'\n'};
  EXPECT_EQ(probe(image).name, "");
}

TEST(CheckFormat, TheGoldenImagesHold) {
  const FormatCheck check = checked(golden("mcuboot_signed"));
  EXPECT_EQ(check.verdict, Verdict::ok) << check.reason;
  EXPECT_EQ(check.format, Format::mcuboot);
  EXPECT_EQ(check.image_hash, "eea321faeec113abb4b6a447175b6061cba420f4e33484e1cfc2b569a8940609");
  EXPECT_EQ(check.security_counter, 7u);
  EXPECT_EQ(check.covered, 32u + 300u + 12u);
  EXPECT_EQ(checked(golden("mcuboot_sha512")).verdict, Verdict::ok);
  const FormatCheck encrypted = checked(golden("mcuboot_encrypted"));
  EXPECT_EQ(encrypted.verdict, Verdict::opaque);
  EXPECT_THAT(encrypted.reason, HasSubstr("encrypted"));
  const FormatCheck esp = checked(golden("esp32s3_app"));
  EXPECT_EQ(esp.verdict, Verdict::ok) << esp.reason;
  EXPECT_EQ(esp.image_hash, "579232dc94b2047f7304113c5ab309e16305f8aeb0ca1c368c5ae5b6784c99b1");
}

TEST(CheckFormat, NoFlippedBitUnderTheHashPasses) {
  for (const char* name : {"mcuboot_signed", "mcuboot_sha512", "esp32s3_app"}) {
    const Bytes good = golden(name);
    const std::uint64_t covered = checked(good).covered;
    for (std::size_t i = 0; i < covered; ++i) {
      Bytes flipped = good;
      flipped[i] ^= std::byte{1};
      EXPECT_NE(checked(flipped).verdict, Verdict::ok) << name << " byte " << i;
    }
  }
}

TEST(CheckFormat, NoTruncatedImagePasses) {
  for (const char* name : {"mcuboot_signed", "mcuboot_sha512", "esp32s3_app"}) {
    const Bytes good = golden(name);
    for (std::size_t length = 0; length < good.size(); ++length) {
      const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_NE(checked(cut).verdict, Verdict::ok) << name << " length " << length;
    }
  }
}

TEST(CheckFormat, WhatFollowsTheImageIsNotItsBusiness) {
  for (const char* name : {"mcuboot_signed", "esp32s3_app"}) {
    Bytes padded = golden(name);
    padded.resize(padded.size() + 4096, std::byte{0xFF});
    EXPECT_EQ(checked(padded).verdict, Verdict::ok) << name;
  }
}

TEST(CheckFormat, OtherFilesAreNotJudged) {
  EXPECT_EQ(checked({}).verdict, Verdict::not_this_format);
  EXPECT_EQ(checked(Bytes(10'000, std::byte{0x42})).verdict, Verdict::not_this_format);
}

TEST(CheckFormat, AReadErrorIsNoVerdict) {
  const ReadAt broken = [](std::uint64_t, std::span<std::byte>) { return fail(Code::cancelled, "stop"); };
  const Result<FormatCheck> result =
      check_format([&](auto at, auto into) -> Result<void> { return broken(at, into); }, 100);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::cancelled);
}

TEST(CheckMcuboot, TheBuilderOfTheseTestsBuildsGoodImages) {
  EXPECT_EQ(checked(Mcuboot{}.build()).verdict, Verdict::ok);
  Mcuboot counted;
  counted.protected_tlvs = {{0x50, Bytes(4, std::byte{1})}};
  const FormatCheck check = checked(counted.build());
  EXPECT_EQ(check.verdict, Verdict::ok) << check.reason;
  EXPECT_EQ(check.security_counter, 0x01010101u);
}

// CVE-2024-32883: a security counter that the hash does not cover decides about rollback.
TEST(CheckMcuboot, WhatDecidesMustBeUnderTheHashAndOnce) {
  for (const std::uint16_t type : {0x40, 0x50, 0x60, 0x74, 0x75}) {
    Mcuboot outside;
    outside.tlvs = {{type, Bytes(4)}};
    EXPECT_THAT(checked(outside.build()).reason, HasSubstr("outside the protected area")) << type;
  }
  for (const std::uint16_t type : {0x50, 0x60, 0x74, 0x75}) {
    Mcuboot twice;
    twice.protected_tlvs = {{type, Bytes(4)}, {type, Bytes(4)}};
    EXPECT_THAT(checked(twice.build()).reason, HasSubstr("twice")) << type;
  }
  Mcuboot two_hashes;
  two_hashes.tlvs = {{0x10, Bytes(32)}};
  EXPECT_THAT(checked(two_hashes.build()).reason, HasSubstr("more than one hash"));
  Mcuboot counter;
  counter.protected_tlvs = {{0x50, Bytes(3)}};
  EXPECT_THAT(checked(counter.build()).reason, HasSubstr("not 4 bytes"));
}

TEST(CheckMcuboot, AnImageWithoutHashIsBadUnlessItIsSignedWithoutOne) {
  Mcuboot image;
  image.hashed = false;
  EXPECT_THAT(checked(image.build()).reason, HasSubstr("has no hash"));
  image.tlvs = {{0x25, Bytes(64)}};
  EXPECT_EQ(checked(image.build()).verdict, Verdict::opaque);
}

TEST(CheckMcuboot, WrongLengthsAreBad) {
  Mcuboot image;
  image.protected_tlvs = {{0x50, Bytes(4)}};
  const Bytes good = image.build();
  const auto with = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = good;
    bytes[at] = std::byte{value};
    return checked(bytes);
  };
  EXPECT_THAT(with(10, 8).reason, HasSubstr("wrong length"));       // header's protected size
  EXPECT_THAT(with(132 + 2, 8).reason, HasSubstr("wrong length"));  // the area's own
  EXPECT_THAT(with(132 + 6, 5).reason, HasSubstr("beyond its area"));
  EXPECT_THAT(with(132, 0).reason, HasSubstr("protected TLV area is missing"));
  EXPECT_THAT(with(144, 0).reason, HasSubstr("the TLV area is missing"));
  EXPECT_THAT(with(144 + 2, 3).reason, HasSubstr("wrong length"));
  EXPECT_THAT(with(144 + 3, 200).reason, HasSubstr("cut off"));
  EXPECT_THAT(with(15, 0xFF).reason, HasSubstr("shorter than its header"));
}

TEST(CheckEsp, AnImageWithOnlyAChecksumIsOpaqueAndADamagedOneBad) {
  Bytes image = golden("esp32s3_app");
  image[23] = std::byte{0};
  image.erase(image.end() - 32, image.end());
  EXPECT_EQ(checked(image).verdict, Verdict::opaque);
  image[400] ^= std::byte{1};
  EXPECT_EQ(checked(image).verdict, Verdict::bad);
}

TEST(CheckEsp, SegmentsBeyondTheEndAreBad) {
  Bytes image = golden("esp32s3_app");
  image[24 + 7] = std::byte{0xFF};
  EXPECT_THAT(checked(image).reason, HasSubstr("within a segment"));
  image = golden("esp32s3_app");
  image[1] = std::byte{16};
  EXPECT_EQ(checked(image).verdict, Verdict::bad);
}

}  // namespace
}  // namespace otagate::firmware
