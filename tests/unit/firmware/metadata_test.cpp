#include "firmware/metadata.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace otagate::firmware {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHex(64, 'a');
const Digest kDigest = Digest::parse(kHex).value();
const Digest kOther = Digest::parse(std::string(64, 'b')).value();

TEST(ParseSidecar, ReadsOurFields) {
  const Result<Claim> claim =
      parse_sidecar(R"({"name":"app","version":"v1.2.3","type":"esp32","sha256":")" + kHex +
                    R"(","size":1048576,"kind":"patch","dependency":"1.2.2","x":[1]})");
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ(claim->name, "app");
  EXPECT_EQ(claim->version, "v1.2.3");
  EXPECT_EQ(claim->type, "esp32");
  EXPECT_EQ(claim->sha256, kDigest);
  EXPECT_EQ(claim->size, 1048576u);
  EXPECT_EQ(claim->kind, Kind::patch);
  EXPECT_EQ(claim->dependency, "1.2.2");
}

TEST(ParseSidecar, ReadsDroguesFields) {
  const Result<Claim> claim =
      parse_sidecar(R"({"version":"0.1.0","checksum":")" + kHex + R"(","size":7,"name":null})");
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ(claim->version, "0.1.0");
  EXPECT_EQ(claim->sha256, kDigest);
  EXPECT_EQ(claim->size, 7u);
  EXPECT_FALSE(claim->name);
}

TEST(ParseSidecar, RefusesWhatItCannotTrust) {
  const std::pair<std::string, const char*> table[] = {
      {"", "is not JSON"},
      {"[]", "is not a JSON object"},
      {R"({"version":1})", "\"version\" is not a string"},
      {R"({"size":-1})", "not a number of bytes"},
      {R"({"size":1.5})", "not a number of bytes"},
      {R"({"size":"7"})", "not a number of bytes"},
      {R"({"checksum":"d41d8cd98f00b204e9800998ecf8427e"})", "is not a SHA-256"},
      {R"({"kind":"firmwear"})", "write \"firmware\""},
      {R"({"sha256":")" + kHex + R"(","checksum":")" + std::string(64, 'b') + "\"}", "differ"},
      {R"({"a":)" + std::string(20, '[') + std::string(20, ']') + "}", "is not JSON"},
      {std::string(kMaxSidecar + 1, ' '), "larger than 64 KiB"},
  };
  for (const auto& [text, wanted] : table) {
    const Result<Claim> claim = parse_sidecar(text);
    ASSERT_FALSE(claim) << wanted;
    EXPECT_THAT(claim.error().message(), HasSubstr(wanted));
  }
}

TEST(SidecarKeys, NameTheImageWithOrWithoutItsExtension) {
  EXPECT_THAT(sidecar_keys_for("a/x.bin"), ElementsAre("a/x.bin.json", "a/x.json"));
  EXPECT_THAT(sidecar_keys_for("x"), ElementsAre("x.json"));
  EXPECT_THAT(sidecar_keys_for("x-1.2.3"), ElementsAre("x-1.2.3.json"));
  EXPECT_THAT(sidecar_keys_for("x-1.2.3.bin"), ElementsAre("x-1.2.3.bin.json", "x-1.2.3.json"));
  EXPECT_THAT(sidecar_keys_for("a.b/x"), ElementsAre("a.b/x.json"));
  EXPECT_THAT(sidecar_keys_for(".bin"), ElementsAre(".bin.json"));
  EXPECT_THAT(sidecar_keys_for("x.bin.json"), IsEmpty());
  EXPECT_THAT(sidecar_keys_for("folder/"), IsEmpty());
  EXPECT_THAT(sidecar_keys_for(""), IsEmpty());
  EXPECT_TRUE(may_describe("a/x.json", "a/x.bin"));
  EXPECT_TRUE(may_describe("a/x.bin.json", "a/x.bin"));
  EXPECT_FALSE(may_describe("b/x.json", "a/x.bin"));
  EXPECT_FALSE(may_describe("a/x.hex.json", "a/x.bin"));
  EXPECT_TRUE(is_sidecar_key("a/x.json"));
  EXPECT_FALSE(is_sidecar_key("a/.json"));
  EXPECT_FALSE(is_sidecar_key("a/x.bin"));
}

TEST(Stem, IsTheFileNameWithoutExtension) {
  EXPECT_EQ(stem("a/x.bin"), "x");
  EXPECT_EQ(stem("x-1.2.3"), "x-1.2.3");
  EXPECT_EQ(stem("x-1.2.3.bin"), "x-1.2.3");
}

TEST(ParseObjectMetadata, TakesKnownKeysInEitherCase) {
  const Result<Claim> claim = parse_object_metadata({{"Name", "app"},
                                                     {"VERSION", "1.0.0"},
                                                     {"sha256", kHex},
                                                     {"checksum", "md5"},
                                                     {"owner", "x"},
                                                     {"type", ""}});
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ(claim->name, "app");
  EXPECT_EQ(claim->version, "1.0.0");
  EXPECT_EQ(claim->sha256, kDigest);
  EXPECT_FALSE(claim->type);
  EXPECT_THAT(parse_object_metadata({{"sha256", "x"}}).error().message(), HasSubstr("the object's metadata"));
}

Claim named(const char* name, const char* version) {
  Claim claim;
  claim.name = name;
  claim.version = version;
  return claim;
}

TEST(Merge, TakesEachMemberFromTheFirstSourceThatHasIt) {
  Claim metadata, index = named("from-index", "1.0.0"), sidecar = named("from-sidecar", "2.0.0"),
                  pattern = named("from-pattern", "3.0.0"), image = named("from-image", "4.0.0");
  metadata.type = "esp32";
  pattern.type = "other";
  Sources sources;
  sources.key = "x.bin";
  sources.pattern = &pattern;
  EXPECT_EQ(merge(sources)->identity.name, "from-pattern");
  sources.image = &image;
  EXPECT_EQ(merge(sources)->identity.name, "from-image");
  EXPECT_EQ(merge(sources)->identity.type, "other");
  sources.sidecar = &sidecar;
  EXPECT_EQ(merge(sources)->identity.name, "from-sidecar");
  sources.index = &index;
  EXPECT_EQ(merge(sources)->identity.version, "1.0.0");
  sources.metadata = &metadata;
  EXPECT_EQ(merge(sources)->identity.name, "from-index");
  EXPECT_EQ(merge(sources)->identity.type, "esp32");
}

TEST(Merge, ASidecarWithoutNameMeansItsStemUnlessThePatternKnowsBetter) {
  Claim sidecar, pattern = named("app", "1.0.0"), image = named("project", "9.9.9");
  sidecar.version = "v1.2.3";
  Sources sources;
  sources.key = "a/sensor.bin";
  sources.sidecar = &sidecar;
  sources.image = &image;
  EXPECT_EQ(merge(sources)->identity.name, "sensor");
  EXPECT_EQ(merge(sources)->identity.version, "1.2.3");
  sources.pattern = &pattern;
  EXPECT_EQ(merge(sources)->identity.name, "app");
}

std::string reason(const Sources& sources) {
  const Result<Merged> merged = merge(sources);
  if (merged) return "";
  EXPECT_EQ(merged.error().code(), Code::rejected);
  return merged.error().message();
}

TEST(Merge, SaysWhyAnObjectIsSkipped) {
  Sources sources;
  sources.key = "a/x.bin";
  EXPECT_THAT(reason(sources), HasSubstr("no source gives a name"));
  EXPECT_THAT(reason(sources), HasSubstr("add the sidecar x.bin.json"));
  Claim claim;
  claim.name = "app";
  sources.pattern = &claim;
  EXPECT_THAT(reason(sources), HasSubstr("no source gives a version"));
  claim.version = "latest";
  EXPECT_THAT(reason(sources), HasSubstr("latest"));
  claim = named("..", "1.0.0");
  EXPECT_THAT(reason(sources), HasSubstr("the name is"));
  claim = named("app", "1.0.0");
  claim.type = "a/b";
  EXPECT_THAT(reason(sources), HasSubstr("the type contains a slash"));
  claim = named("app", "1.0.0");
  claim.kind = Kind::patch;
  EXPECT_THAT(reason(sources), HasSubstr("add \"dependency\""));
  claim.dependency = "v0.9.0";
  EXPECT_EQ(reason(sources), "");
  EXPECT_EQ(merge(sources)->identity.dependency, "0.9.0");
}

TEST(Merge, SourcesMustAgreeWithEachOtherAndWithTheObject) {
  Claim sidecar = named("app", "1.0.0"), metadata;
  sidecar.size = 10;
  sidecar.sha256 = kDigest;
  Sources sources;
  sources.key = "x.bin";
  sources.sidecar = &sidecar;
  sources.metadata = &metadata;
  EXPECT_EQ(merge(sources)->sha256, kDigest);
  EXPECT_EQ(merge(sources)->size, 10u);
  sources.object_size = 11;
  EXPECT_THAT(reason(sources), HasSubstr("the sidecar gives a size of 10 bytes, but the store 11 bytes"));
  sources.object_size = 10;
  sources.object_sha256 = kOther;
  EXPECT_THAT(reason(sources), HasSubstr("the sidecar gives a SHA-256 of aaaa"));
  sources.object_sha256.reset();
  metadata.sha256 = kOther;
  EXPECT_THAT(reason(sources), HasSubstr("but the object's metadata bbbb"));
  metadata.sha256 = kDigest;
  EXPECT_EQ(reason(sources), "");
}

}  // namespace
}  // namespace otagate::firmware
