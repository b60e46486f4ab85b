#include "firmware/import_list.hpp"

#include <gtest/gtest.h>

#include <string>

namespace otagate::firmware {
namespace {

const std::string kDigest(64, 'a');

std::string item(const std::string& more) { return R"({"sha256": ")" + kDigest + "\"" + more + "}"; }

TEST(ImportList, TakesWhatIsSaidAndLeavesTheRestOpen) {
  const auto list = parse_import_list(
      R"({"items": [)" + item(R"(, "file": "a-1.0.bin")") + "," +
      item(R"(, "name": "b", "version": "2", "type": "t", "kind": "software")") + R"(], "replace": true})");
  ASSERT_TRUE(list) << list.error().message();
  ASSERT_EQ(list->items.size(), 2U);
  EXPECT_TRUE(list->replace);
  EXPECT_EQ(list->items[0].file, "a-1.0.bin");
  EXPECT_FALSE(list->items[0].claim.name);
  EXPECT_EQ(list->items[0].digest.hex(), kDigest);
  EXPECT_EQ(list->items[1].claim.kind, Kind::software);
}

TEST(ImportList, ErrorsNameTheItem) {
  for (const auto& [text, what] : {
           std::pair<std::string, std::string>{"[]", "the list"},
           {"{}", "items"},
           {R"({"items": []})", "empty"},
           {R"({"items": [1]})", "not an object"},
           {R"({"items": [)" + item("") + R"(, {"name": "x"}]})", "item 2: \"sha256\" is missing"},
           {R"({"items": [)" + item(R"(, "kind": "toy")") + "]}", "item 1"},
           {R"({"items": [)" + item("") + R"(], "replace": 1})", "replace"},
       }) {
    const auto list = parse_import_list(text);
    ASSERT_FALSE(list) << text;
    EXPECT_NE(list.error().message().find(what), std::string::npos) << list.error().message();
  }
}

std::string manifest(const std::string& items, const std::string& format = "otagate-bundle/1") {
  return R"({"format": ")" + format + R"(", "items": [)" + items + "]}";
}

const std::string kWhole = R"(, "name": "b", "version": "2", "size": 3)";

TEST(BundleManifest, NamesItsFormatAndAllOfEachItem) {
  ASSERT_TRUE(parse_bundle_manifest(manifest(item(kWhole))));
  for (const auto& [text, what] : {
           std::pair<std::string, std::string>{manifest(item(kWhole), "otagate-bundle/2"),
                                               "otagate-bundle/2"},
           {R"({"items": [)" + item(kWhole) + "]}", "format"},
           {manifest(item(R"(, "name": "b", "version": "2")")), "size"},
           {manifest(item(R"(, "name": "../b", "version": "2", "size": 3)")), "item 1"},
           {manifest(item(R"(, "name": "b", "version": "latest", "size": 3)")), "item 1"},
           {manifest(item(kWhole) + "," + item(kWhole)), "twice"},
       }) {
    const auto list = parse_bundle_manifest(text);
    ASSERT_FALSE(list) << text;
    EXPECT_NE(list.error().message().find(what), std::string::npos) << list.error().message();
  }
}

TEST(BundleManifest, HasABound) {
  std::string items = item(kWhole);
  for (std::size_t i = 0; i < kMaxImports; ++i) items += "," + item(kWhole);
  EXPECT_NE(parse_bundle_manifest(manifest(items)).error().message().find("more than 1000"),
            std::string::npos);
}

}  // namespace
}  // namespace otagate::firmware
