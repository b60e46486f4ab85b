#include "core/minisign.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace otagate {
namespace {

// Made by minisign 0.10 over "hello".
constexpr std::string_view kKey = "RWSwCOAE4pPkJoEi0yNcCiEivjYC5q8hUHPHyHfYn7wTmG3tAi+yeyzT";
constexpr std::string_view kOtherKey = "RWTYQu1NMi3XEbZ8v6MxC8APoPRBmrnSJ5Q+XvfroOMUjDa3HIqw9ChL";
constexpr std::string_view kHashed =
    "untrusted comment: signature from minisign secret key\n"
    "RUSwCOAE4pPkJuPV1D2gHn17Zdpra36k1DxchpWa1gLElgTDZGEya8Iz8E5ODwTGGl3HgMMPNOt2O8JkfTHHaCt+w8WfbBMDUwI=\n"
    "trusted comment: made for a test\n"
    "g6y/fnud/s0UPbOUgpQkJTvHeeSmJngTrZBkKla+KEqsN87fqRsnhyYzgLJqlX768rE2NZR57+A0lSFMj5NJDg==\n";
constexpr std::string_view kLegacy =
    "untrusted comment: signature from minisign secret key\n"
    "RWSwCOAE4pPkJg1iy6hekICShdKF93EbPO5cMja9YuZ9En6Ho03fkLuX3EZqLAe1+gXPnZ8bmP/M/jJUfTpwLfghyDCb/3HUYgU=\n"
    "trusted comment: old\n"
    "aI0bHHAjLLbMXNAeNrsW4D44dfIM4zi3GafxcUxNRjzyW+MbnTjWghNfZFtZOdNRCTbF/Dw5fIw8lWKyMEfOBA==\n";

std::vector<MinisignKey> keys() { return {*MinisignKey::parse(kOtherKey), *MinisignKey::parse(kKey)}; }

TEST(Minisign, TakesWhatMinisignMakes) {
  for (const auto& [text, comment] : {std::pair(kHashed, "made for a test"), std::pair(kLegacy, "old")}) {
    const auto verified = verify_minisign(keys(), "hello", text);
    ASSERT_TRUE(verified) << verified.error().message();
    EXPECT_EQ(*verified, comment);
  }
}

TEST(Minisign, RefusesOtherBytesAndOtherKeys) {
  EXPECT_EQ(verify_minisign(keys(), "hellp", kHashed).error().code(), Code::denied);
  EXPECT_EQ(verify_minisign(keys(), "hellp", kLegacy).error().code(), Code::denied);
  EXPECT_EQ(verify_minisign(keys(), "", kHashed).error().code(), Code::denied);
  const std::vector<MinisignKey> other = {*MinisignKey::parse(kOtherKey)};
  const auto refused = verify_minisign(other, "hello", kHashed);
  EXPECT_EQ(refused.error().code(), Code::denied);
  EXPECT_NE(refused.error().message().find("26E493E204E008B0"), std::string::npos);
}

TEST(Minisign, NoChangedCharacterPasses) {
  for (std::size_t i = kHashed.find('\n') + 1; i + 1 < kHashed.size(); ++i) {
    std::string text(kHashed);
    text[i] = text[i] == 'A' ? 'B' : 'A';
    const auto verified = verify_minisign(keys(), "hello", text);
    EXPECT_FALSE(verified) << "character " << i;
  }
}

TEST(Minisign, TheTrustedCommentIsSigned) {
  std::string text(kHashed);
  text.replace(text.find("made for a test"), 4, "meant");
  EXPECT_EQ(verify_minisign(keys(), "hello", text).error().code(), Code::denied);
}

TEST(Minisign, RefusesWhatIsNoSignature) {
  for (const std::string_view text :
       {"", "\n\n\n\n", "untrusted comment: x\nRUSw\ntrusted comment: y\nAAAA\n"})
    EXPECT_EQ(verify_minisign(keys(), "hello", text).error().code(), Code::invalid) << text;
  EXPECT_EQ(verify_minisign(keys(), "hello", std::string(100'000, 'A')).error().code(), Code::invalid);
}

TEST(Minisign, KeysComeAsALineOrAsTheFile) {
  const auto key = MinisignKey::parse("untrusted comment: minisign public key\n" + std::string(kKey) + "\n");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->id_text(), "26E493E204E008B0");
  for (const std::string_view text : {"", "RW", "RWSwCOAE4pPkJoEi0yNcCiEivjYC5q8hUHPHyHfYn7wTmG3tAi+yeyz",
                                      "AASwCOAE4pPkJoEi0yNcCiEivjYC5q8hUHPHyHfYn7wTmG3tAi+yeyzT"})
    EXPECT_FALSE(MinisignKey::parse(text)) << text;
}

}  // namespace
}  // namespace otagate
