#include "plugin/manifest.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace otagate::plugin {
namespace {

const std::string kGood =
    "manifest = 1\nid = \"s3\"\nfile = \"s3.so\"\nabi_major = 1\nabi_minor = 0\n"
    "interfaces = [\"otagate.storage/1\"]\npermissions = [\"network\"]\nsha256 = \"" +
    std::string(64, 'a') + "\"\n";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  text.replace(text.find(from), from.size(), to);
  return text;
}

TEST(Manifest, Reads) {
  const auto manifest = parse_manifest(kGood, "s3.plugin.toml");
  ASSERT_TRUE(manifest) << manifest.error().message();
  EXPECT_EQ(manifest->id, "s3");
  EXPECT_EQ(manifest->file, "s3.so");
  EXPECT_EQ(manifest->abi_major, 1u);
  EXPECT_EQ(manifest->interfaces, std::vector<std::string>{"otagate.storage/1"});
  EXPECT_EQ(manifest->permissions, std::vector<std::string>{"network"});
  EXPECT_EQ(manifest->sha256.hex(), std::string(64, 'a'));
}

TEST(Manifest, NamesTheFileAndLineThatIsWrong) {
  const auto manifest = parse_manifest("manifest = 1\nid = \n", "s3.plugin.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().message().rfind("s3.plugin.toml:2:", 0), 0u) << manifest.error().message();
}

TEST(Manifest, RefusesWhatIsMissingOrWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"manifest = 1", "manifest = 2"},    {"manifest = 1\n", ""},
      {"id = \"s3\"", "id = \"S3\""},      {"id = \"s3\"", "id = \"../s3\""},
      {"\"s3.so\"", "\"../s3.so\""},       {"\"s3.so\"", "\"\""},
      {"abi_major = 1", "abi_major = -1"}, {"abi_minor = 0\n", ""},
      {"[\"otagate.storage/1\"]", "[1]"},  {"[\"network\"]", "\"network\""},
      {std::string(64, 'a'), "abc"},       {std::string(64, 'a'), std::string(64, 'x')}};
  for (const auto& [from, to] : cases) {
    const auto manifest = parse_manifest(with(from, to), "m");
    EXPECT_FALSE(manifest) << from << " -> " << to;
    if (!manifest) {
      EXPECT_EQ(manifest.error().message().rfind("m: ", 0), 0u) << manifest.error().message();
    }
  }
}

TEST(Manifest, RefusesALargeFile) {
  const testing::TempDir folder;
  testing::write_file(folder.path() / "x.plugin.toml", std::string(70'000, '#'));
  const auto manifest = read_manifest(folder.path() / "x.plugin.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().code(), Code::invalid);
  EXPECT_EQ(read_manifest(folder.path() / "none").error().code(), Code::not_found);
}

}  // namespace
}  // namespace otagate::plugin
