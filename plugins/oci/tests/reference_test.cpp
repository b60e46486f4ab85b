#include "oci/reference.hpp"

#include <gtest/gtest.h>

namespace otagate::oci {
namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

// Distribution specification 1.1, "Pulling manifests": the grammars of <name> and <reference>.
TEST(Reference, KnowsTheNamesOfTheSpecification) {
  for (const char* good : {"a", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1", "library/fw-1.2"}) {
    EXPECT_TRUE(valid_repository(good)) << good;
  }
  for (const char* bad : {"", "A", "a/", "/a", "a//b", "a..b", "a___b", "-a", "a-", "a.-b", "a b", "a:b",
                          "../a", "a/..", "a%2f", "ü"}) {
    EXPECT_FALSE(valid_repository(bad)) << bad;
  }
  EXPECT_TRUE(valid_repository(std::string(255, 'a')));
  EXPECT_FALSE(valid_repository(std::string(256, 'a')));
}

TEST(Reference, KnowsTagsAndDigests) {
  for (const char* good : {"1.0.0", "_x", "v1.2-rc_3", "LATEST"}) EXPECT_TRUE(valid_tag(good)) << good;
  for (const char* bad : {"", ".a", "-a", "a+b", "a/b", "a b"}) EXPECT_FALSE(valid_tag(bad)) << bad;
  EXPECT_TRUE(valid_tag(std::string(128, 'x')));
  EXPECT_FALSE(valid_tag(std::string(129, 'x')));
  EXPECT_TRUE(valid_digest(kDigest));
  // A digest goes into paths: containers/image once took "sha256:../../x" for one.
  for (const std::string& bad :
       {kHex, "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "sha512:" + std::string(128, 'a'), "sha256:../../../" + std::string(55, 'a')}) {
    EXPECT_FALSE(valid_digest(bad)) << bad;
  }
}

TEST(Reference, ReadsChecksumsInEveryForm) {
  EXPECT_EQ(sha256_of(kHex), kHex);
  EXPECT_EQ(sha256_of("sha256:" + std::string(64, 'A')), kHex);
  EXPECT_EQ(sha256_of("md5"), "");
  EXPECT_EQ(sha256_of(kHex + "a"), "");
}

TEST(Reference, ReadsWhatTheOptionSays) {
  EXPECT_EQ(parse_reference("vendor/fw").value(), (Reference{"vendor/fw", "", ""}));
  EXPECT_EQ(parse_reference("vendor/fw:1.0").value(), (Reference{"vendor/fw", "1.0", ""}));
  EXPECT_EQ(parse_reference("vendor/fw@" + kDigest).value(), (Reference{"vendor/fw", "", kDigest}));
  EXPECT_EQ(parse_reference("fw:1@" + kDigest).value(), (Reference{"fw", "1", kDigest}));
  for (const char* bad :
       {"", "Vendor/fw", "registry.example:5000/fw", "fw:", "fw@", "fw@sha256:1", "https://x/fw"}) {
    const auto refused = parse_reference(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().status, OTAGATE_INVALID);
  }
}

TEST(Reference, KeysComeBackAsTheyWere) {
  const Key keys[] = {
      {{"vendor/fw", "1.0.0", ""}, "", ""},       {{"vendor/fw", "", kDigest}, "", ""},
      {{"fw", "1", kDigest}, "linux-arm-v7", ""}, {{"fw", "1", ""}, "", "a b/c#d:e@f.bin"},
      {{"fw", "1", ""}, "esp32", "fw.bin"},
  };
  for (const Key& key : keys) EXPECT_EQ(parse_key(to_string(key)), key) << to_string(key);
  EXPECT_EQ(to_string(keys[4]), "fw:1#esp32/fw.bin");
  using std::string_literals::operator""s;
  for (const std::string& bad : {"fw"s, "vendor/fw"s, ".."s, "../../etc/passwd"s, "/etc/passwd"s, "fw:1/"s,
                                 "fw:1#"s, "fw:1#a b"s, "fw:1/a\0b"s, "fw:1/"s + std::string(1100, 'x')}) {
    EXPECT_FALSE(parse_key(bad)) << bad;
  }
}

TEST(Reference, MakesTagsOfVersions) {
  EXPECT_EQ(as_tag("1.2.3+build.4"), "1.2.3_build.4");
  EXPECT_EQ(as_tag("1/2 3"), "1-2-3");
  EXPECT_EQ(as_tag("-1"), "_1");
  EXPECT_EQ(as_variant("linux/arm v7"), "linux-arm-v7");
}

TEST(Reference, KnowsTheTagsOfReferrers) {
  EXPECT_EQ(referrers_tag(kDigest), "sha256-" + kHex);
  EXPECT_TRUE(is_referrers_tag("sha256-" + kHex));
  EXPECT_TRUE(is_referrers_tag("sha256-" + kHex + ".sig"));
  EXPECT_FALSE(is_referrers_tag("sha256-" + kHex + "1"));
  EXPECT_FALSE(is_referrers_tag("1.0.0"));
}

}  // namespace
}  // namespace otagate::oci
