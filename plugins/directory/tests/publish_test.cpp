#include "directory/publish.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace otagate::directory {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBytes = "firmware of a sensor";
// SHA-256 of kBytes.
constexpr std::string_view kSha256 = "7b67ce9cee7b45b5ac0f4a804e391735d639c301618330ca1d617d99301fe191";

class Publish : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/otagate-publish-XXXXXX";
    folder_ = mkdtemp(name);
    source_ = folder_ / ".source";
    std::ofstream(source_) << kBytes;
    fs::create_directory(folder_ / "root");
    root_ = open_root((folder_ / "root").string());
    request_.sha256 = kSha256;
    request_.size = kBytes.size();
    request_.metadata = {{"name", "sensor"}, {"version", "1.2.3"}, {"type", "board"}};
    bytes_ = Fd(open(source_.c_str(), O_RDONLY));
    request_.fd = bytes_.get();
  }
  void TearDown() override { fs::remove_all(folder_); }

  sdk::Object publish(const std::string& key) {
    return publish_file(root_.get(), key, NameFilter({"*.tmp"}), request_, [] { return false; });
  }
  std::string read(const std::string& key) {
    std::ifstream in(folder_ / "root" / key, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::size_t files() {
    return static_cast<std::size_t>(std::count_if(fs::recursive_directory_iterator(folder_ / "root"),
                                                  fs::recursive_directory_iterator(),
                                                  [](const auto& entry) { return !entry.is_directory(); }));
  }
  std::uint32_t refused(const std::string& key) {
    try {
      publish(key);
    } catch (const sdk::Failure& failure) {
      return failure.status;
    }
    return OTAGATE_OK;
  }

  fs::path folder_, source_;
  Fd root_, bytes_;
  sdk::PublishRequest request_;
};

TEST_F(Publish, WritesImageAndSidecarAndNothingElse) {
  const sdk::Object object = publish(key_for(request_));
  EXPECT_EQ(object.key, "board/sensor-1.2.3.bin");
  EXPECT_EQ(read("board/sensor-1.2.3.bin"), kBytes);
  EXPECT_EQ(read("board/sensor-1.2.3.bin.json"),
            R"({"name":"sensor","version":"1.2.3","type":"board","sha256":")" + std::string(kSha256) +
                R"(","size":20})" + "\n");
  EXPECT_EQ(files(), 2U);
  struct stat info {};
  const Fd file = open_beneath(root_.get(), object.key, &info);
  EXPECT_EQ(object.change_token, change_token(info));
}

TEST_F(Publish, ReplacesWhatIsThere) {
  publish("a.bin");
  const std::string token = publish("a.bin").change_token;
  EXPECT_EQ(read("a.bin"), kBytes);
  EXPECT_EQ(files(), 2U);
  EXPECT_FALSE(token.empty());
}

TEST_F(Publish, OtherBytesThanThoseOfTheDigestAreNotKept) {
  const std::string other(64, '0');
  request_.sha256 = other;
  EXPECT_EQ(refused("a.bin"), OTAGATE_REJECTED);
  EXPECT_EQ(files(), 0U);
}

TEST_F(Publish, KeysThatWouldNotBeListedAreRefused) {
  for (const char* key :
       {"../a.bin", "a/../b.bin", "/a.bin", "a//b.bin", ".a.bin", "a/.b/c.bin", "a.tmp", "a.json", "", "a/"})
    EXPECT_EQ(refused(key), OTAGATE_INVALID) << key;
  EXPECT_EQ(files(), 0U);
}

TEST_F(Publish, LinksLeadNowhere) {
  fs::create_directory(folder_ / "outside");
  fs::create_directory_symlink(folder_ / "outside", folder_ / "root" / "link");
  EXPECT_EQ(refused("link/a.bin"), OTAGATE_INVALID);
  EXPECT_TRUE(fs::is_empty(folder_ / "outside"));
  std::ofstream(folder_ / "outside" / "victim") << "precious";
  fs::create_symlink(folder_ / "outside" / "victim", folder_ / "root" / ".b.bin.part");
  publish("b.bin");
  std::ifstream in(folder_ / "outside" / "victim");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "precious");
}

TEST_F(Publish, WithoutANameTheDigestIsOne) {
  request_.metadata.clear();
  EXPECT_EQ(key_for(request_), "sha256/" + std::string(kSha256) + ".bin");
}

}  // namespace
}  // namespace otagate::directory
