#include "oci/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/documents.hpp"
#include "oci/selection.hpp"

namespace otagate::oci {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const std::string kHexA(64, 'a');
const std::string kA = "sha256:" + kHexA;
const std::string kB = "sha256:" + std::string(64, 'b');

std::string layer(std::string_view type, const std::string& digest, const std::string& more = "") {
  return R"({"mediaType": ")" + std::string(type) + R"(", "digest": ")" + digest + R"(", "size": 12)" + more +
         "}";
}

std::string manifest(const std::string& layers, const std::string& more = "",
                     std::string_view config = "application/vnd.vendor.config.v1+json") {
  return R"({"schemaVersion": 2, "mediaType": ")" + std::string(media_type::kManifest) + R"(", "config": )" +
         layer(config, kB) + R"(, "layers": [)" + layers + "]" + more + "}";
}

std::vector<Candidate> chosen(const std::string& text, Surroundings around = {}) {
  if (around.of.repository.empty()) around.of = {"vendor/probe", "1.2.3", ""};
  const auto parsed = parse_manifest(text, media_type::kManifest);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? choose(*parsed, around) : std::vector<Candidate>();
}

TEST(Manifest, ReadsAnArtifact) {
  const auto read =
      parse_manifest(manifest(layer(media_type::kBytes, kA, R"(, "annotations": {"k": "v", "bad": 1})")),
                     "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_FALSE(read->index);
  EXPECT_FALSE(read->image());
  EXPECT_EQ(read->artifact_type, "application/vnd.vendor.config.v1+json");
  ASSERT_EQ(read->layers.size(), 1u);
  EXPECT_EQ(read->layers[0].digest, kA);
  EXPECT_EQ(read->layers[0].size, 12u);
  EXPECT_THAT(read->layers[0].annotations, ElementsAre(Pair("k", "v")));
}

TEST(Manifest, ReadsAnIndex) {
  const auto read =
      parse_manifest(R"({"schemaVersion": 2, "manifests": [)" +
                         layer(media_type::kManifest, kA,
                               R"(, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"})") +
                         "]}",
                     media_type::kIndex);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->index);
  ASSERT_EQ(read->manifests.size(), 1u);
  EXPECT_EQ(type_of(read->manifests[0]), "linux-arm-v7");
  EXPECT_FALSE(describes_another(read->manifests[0]));
}

// CVE-2021-41190: one document that two readers take for different things.
TEST(Manifest, RefusesWhatCanBeReadInTwoWays) {
  const std::string both = manifest(layer(media_type::kBytes, kA), R"(, "manifests": [])");
  EXPECT_FALSE(parse_manifest(both, media_type::kManifest));
  EXPECT_FALSE(parse_manifest(manifest(""), media_type::kIndex));
  EXPECT_FALSE(parse_manifest(R"({"schemaVersion": 2, "manifests": []})", media_type::kManifest));
  EXPECT_FALSE(parse_manifest(R"({"schemaVersion": 1, "layers": []})", media_type::kManifest));
}

TEST(Manifest, RefusesWhatIsNoneOrTooMuch) {
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"schemaVersion": 2})"),
        manifest(R"({"mediaType": "x"})"), manifest("1"), manifest(R"({"digest": "d", "size": -1})"),
        std::string(R"({"schemaVersion": 2, "layers": []})")}) {
    const auto refused = parse_manifest(bad, media_type::kManifest);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().status, OTAGATE_PERMANENT);
  }
  std::string layers = layer(media_type::kBytes, kA);
  for (std::size_t i = 0; i < kMaxLayers; ++i) layers += "," + layer(media_type::kBytes, kA);
  EXPECT_FALSE(parse_manifest(manifest(layers), media_type::kManifest));
  EXPECT_FALSE(parse_manifest(std::string(100, '[') + std::string(100, ']'), ""));
}

TEST(Selection, TakesTheFirstLayerOfBytes) {
  const auto all = chosen(manifest(layer("text/plain", kB) + "," + layer(media_type::kBytes, kA) + "," +
                                   layer(media_type::kBytes, kB)));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].shape, Shape::blob);
  EXPECT_EQ(all[0].sha256, kHexA);
  EXPECT_EQ(all[0].file, "");
  EXPECT_THAT(all[0].metadata, ElementsAre(Pair("version", "1.2.3"), Pair("name", "probe")));
}

TEST(Selection, LayersWithAnnotationsComeFirst) {
  const auto all = chosen(manifest(
      layer(media_type::kBytes, kB) + "," +
          layer("text/x", kA,
                R"(, "annotations": {"io.otagate.name": "one", "org.opencontainers.image.title": "f.bin"})"),
      R"(, "annotations": {"io.otagate.name": "two", "io.otagate.type": "esp32", "org.opencontainers.image.version": "9"})"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].sha256, kHexA);
  EXPECT_THAT(all[0].metadata, ElementsAre(Pair("name", "one"), Pair("type", "esp32"), Pair("version", "9")));
}

TEST(Selection, FilesOfOneManifestHaveKeysOfTheirOwn) {
  const std::string tar = "application/vnd.oci.image.layer.v1.tar";
  const std::string title = R"(, "annotations": {"org.opencontainers.image.title": )";
  const auto all =
      chosen(manifest(layer(tar, kA, title + R"("/a.bin"})") + "," + layer(tar, kB, title + R"("a.bin"})") +
                      "," + layer(tar, kB, title + R"("dir", "io.deis.oras.content.unpack": "true"})")));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].file, "a.bin");
  EXPECT_EQ(all[1].file, "a.bin-bbbbbbbbbbbb");
  // Neither the repository's name nor its tag is that of each file.
  EXPECT_TRUE(all[0].metadata.empty());
}

TEST(Selection, FindsFirmwareWithinImages) {
  const std::string layers = layer("application/vnd.oci.image.layer.v1.tar+gzip", kA) + "," +
                             layer("application/vnd.docker.image.rootfs.diff.tar.gzip", kB);
  const auto plain = chosen(manifest(layers, "", media_type::kConfig));
  ASSERT_EQ(plain.size(), 1u);
  EXPECT_EQ(plain[0].shape, Shape::member);
  EXPECT_EQ(plain[0].layers[0].digest, kB);  // the topmost first
  EXPECT_EQ(plain[0].sha256, "");

  const Annotations labels = {
      {"io.drogue.metadata", R"({"version": "0.1", "size": 7, "checksum": ")" + kA + R"("})"}};
  Surroundings around;
  around.labels = &labels;
  const auto labelled = chosen(manifest(layers, "", media_type::kDockerConfig), around);
  EXPECT_EQ(labelled[0].shape, Shape::member);
  EXPECT_EQ(labelled[0].size, 7u);
  EXPECT_EQ(labelled[0].sha256, kHexA);
  EXPECT_THAT(labelled[0].metadata, Contains(Pair("version", "0.1")));

  const Annotations broken = {{"io.drogue.metadata", "{}"}};
  around.labels = &broken;
  EXPECT_EQ(chosen(manifest(layers, "", media_type::kConfig), around)[0].shape, Shape::unusable);
}

TEST(Selection, SaysWhyThereIsNothing) {
  for (const std::string& text :
       {manifest(""), manifest(layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip", kA)),
        manifest(layer(media_type::kBytes, "sha512:00")), manifest(layer(media_type::kEmpty, kA)),
        manifest(layer("x/y", kA), "", media_type::kConfig)}) {
    const auto all = chosen(text);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].shape, Shape::unusable) << text;
    EXPECT_NE(all[0].why, "");
  }
}

TEST(Selection, NamesNothingWhereThePatternShall) {
  Surroundings around;
  around.of = {"vendor/probe", "1.2.3", ""};
  around.names = false;
  EXPECT_TRUE(chosen(manifest(layer(media_type::kBytes, kA)), around)[0].metadata.empty());
}

TEST(Documents, ReadsTagsAndLeavesOutWhatIsNone) {
  EXPECT_THAT(parse_tags(R"({"name": "a", "tags": ["1.0", "../x", 7, "v2"]})").value(),
              ElementsAre("1.0", "v2"));
  EXPECT_TRUE(parse_tags(R"({"name": "a", "tags": null})").value().empty());
  EXPECT_FALSE(parse_tags("[]"));
}

TEST(Documents, FollowsTheNextLink) {
  EXPECT_EQ(next_link(R"(</v2/a/tags/list?n=2&last=b>; rel="next")"), "/v2/a/tags/list?n=2&last=b");
  EXPECT_EQ(next_link(R"(<x>; rel="prev", <y>; rel=next)"), "y");
  EXPECT_EQ(next_link(R"(<x>; rel="prev")"), std::nullopt);
  EXPECT_EQ(next_link("<x"), std::nullopt);
  EXPECT_EQ(next_link("<" + std::string(5000, 'x') + ">; rel=\"next\""), std::nullopt);
}

TEST(Documents, NamesTheOptionToLookAt) {
  common::HttpResponse response;
  response.head.status = 401;
  response.body = R"({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})";
  const auto denied = failure_of(response, {"GET", "https://r/v2/a/tags/list", "a", false});
  EXPECT_EQ(denied.status, OTAGATE_DENIED);
  EXPECT_THAT(denied.message, HasSubstr("'password'"));
  EXPECT_THAT(failure_of(response, {"GET", "https://r/", "a", true}).message, HasSubstr("set 'username'"));
  response.head.status = 404;
  response.body =
      R"({"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known to registry"}]})";
  const auto unknown = failure_of(response, {"GET", "https://r/", "a", true});
  EXPECT_EQ(unknown.status, OTAGATE_PERMANENT);
  EXPECT_THAT(unknown.message, HasSubstr("'repositories'"));
  response.head.status = 429;
  response.head.headers = {{"retry-after", "7"}};
  response.body = R"({"errors": [{"code": "TOOMANYREQUESTS"}]})";
  EXPECT_EQ(failure_of(response, {"GET", "https://r/", "a", true}).retry_after_ms, 7000u);
}

TEST(Documents, ReadsWhatDrogueWrote) {
  const auto read = parse_drogue_metadata(R"({"version": "abc", "size": 5, "checksum": ")" + kHexA + R"("})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, "abc");
  EXPECT_EQ(read->size, 5u);
  EXPECT_EQ(read->sha256, kHexA);
  EXPECT_FALSE(parse_drogue_metadata(R"({"size": 5})"));
  EXPECT_FALSE(parse_drogue_metadata(R"({"version": "1", "checksum": "md5:1"})"));
}

}  // namespace
}  // namespace otagate::oci
