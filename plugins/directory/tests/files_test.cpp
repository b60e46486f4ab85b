#include "directory/files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "otagate/cpp/status.hpp"

namespace otagate::directory {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class Files : public ::testing::Test {
 protected:
  Files() {
    std::string name = ::testing::TempDir() + "otg-files-XXXXXX";
    base = mkdtemp(name.data());
    fs::create_directory(base / "root");
    write("../outside", "secret");
  }
  ~Files() override { fs::remove_all(base); }

  fs::path root() const { return base / "root"; }
  void write(const std::string& key, const std::string& bytes) {
    fs::create_directories((root() / key).parent_path());
    std::ofstream(root() / key) << bytes;
  }
  std::vector<std::string> keys(const std::string& after = "", std::size_t limit = 1000) {
    std::vector<std::string> found;
    complaints.clear();
    const Fd fd = open_root(root());
    walk(
        fd.get(), after, filter,
        [&](File file) {
          found.push_back(file.key);
          return found.size() < limit;
        },
        [&](const std::string& folder, const std::string&) { complaints.push_back(folder); });
    return found;
  }
  std::uint32_t open_status(const std::string& key) {
    const Fd fd = open_root(root());
    struct stat info = {};
    try {
      open_beneath(fd.get(), key, &info);
      return OTAGATE_OK;
    } catch (const sdk::Failure& failure) {
      return failure.status;
    }
  }

  fs::path base;
  NameFilter filter{{"*.tmp", "*~"}};
  std::vector<std::string> complaints;
};

TEST_F(Files, AreFoundInOrderOfTheBytesOfTheirKeys) {
  for (const char* key : {"b", "a/x", "a.bin", "a-1", "a/b/c", "ü b", "a0"}) write(key, "1");
  EXPECT_THAT(keys(), ElementsAre("a-1", "a.bin", "a/b/c", "a/x", "a0", "b", "ü b"));
}

TEST_F(Files, EachCursorContinuesWhereItStopped) {
  for (const char* key : {"b", "a/x", "a.bin", "a-1", "a/b/c", "a0"}) write(key, "1");
  const std::vector<std::string> all = keys();
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(keys(all[i]), std::vector<std::string>(all.begin() + static_cast<long>(i) + 1, all.end()))
        << all[i];
  }
  EXPECT_THAT(keys("a/b", 1), ElementsAre("a/b/c"));
}

TEST_F(Files, WhatNobodyMeansIsSkipped) {
  for (const char* key : {"ok", ".hidden", "x.tmp", "x~", ".git/objects", "y.tmp/in"}) write(key, "1");
  mkfifo((root() / "fifo").c_str(), 0600);
  EXPECT_THAT(keys(), ElementsAre("ok"));
}

TEST_F(Files, LinksAreFollowedOnlyWithinTheRoot) {
  write("dir/real", "1");
  fs::create_symlink("dir/real", root() / "good");
  fs::create_symlink("../outside", root() / "bad");
  fs::create_symlink(base / "outside", root() / "absolute");
  fs::create_symlink("dir", root() / "folder");
  fs::create_symlink("nothing", root() / "dangling");
  fs::create_symlink("loop", root() / "loop");
  EXPECT_THAT(keys(), ElementsAre("dir/real", "good"));
  EXPECT_EQ(open_status("good"), OTAGATE_OK);
  for (const char* key : {"bad", "absolute", "dangling", "loop"})
    EXPECT_EQ(open_status(key), OTAGATE_NOT_FOUND) << key;
}

TEST_F(Files, NoKeyLeadsOut) {
  write("a/x", "1");
  for (const std::string& key :
       {std::string("../outside"), std::string("a/../../outside"), std::string("/etc/passwd"), std::string(),
        std::string("a//x"), std::string("./a/x"), std::string("a/x\0y", 5), std::string("a/"),
        std::string(2000, 'k')}) {
    EXPECT_EQ(open_status(key), OTAGATE_INVALID) << key;
  }
  EXPECT_EQ(open_status("a"), OTAGATE_NOT_FOUND);
  EXPECT_EQ(open_status("a/x/y"), OTAGATE_NOT_FOUND);
  EXPECT_EQ(open_status("a/x"), OTAGATE_OK);
}

TEST_F(Files, AFifoNeverBlocksWhoOpensIt) {
  mkfifo((root() / "fifo").c_str(), 0600);
  EXPECT_EQ(open_status("fifo"), OTAGATE_NOT_FOUND);
}

TEST_F(Files, TooDeepIsSaidAndNotFollowed) {
  std::string key = "d";
  for (int i = 0; i < kMaxDepth + 3; ++i) key += "/d";
  write(key + "/x", "1");
  write("z", "1");
  EXPECT_THAT(keys(), ElementsAre("z"));
  EXPECT_EQ(complaints.size(), 1u);
}

TEST_F(Files, TheChangeTokenSeesEachKindOfChange) {
  struct stat base_info = {};
  write("x", "12345");
  stat((root() / "x").c_str(), &base_info);
  const std::string before = change_token(base_info);
  EXPECT_EQ(change_token(base_info), before);
  struct stat info = base_info;
  info.st_mtim.tv_nsec ^= 1;
  EXPECT_NE(change_token(info), before);
  info = base_info;
  info.st_ctim.tv_nsec ^= 1;
  EXPECT_NE(change_token(info), before);
  info = base_info;
  info.st_size += 1;
  EXPECT_NE(change_token(info), before);
  info = base_info;
  info.st_ino += 1;
  EXPECT_NE(change_token(info), before);
}

TEST_F(Files, AMissingRootIsWorthAnotherTry) {
  try {
    open_root(base / "nowhere");
    FAIL();
  } catch (const sdk::Failure& failure) {
    EXPECT_EQ(failure.status, OTAGATE_TRANSIENT);
    EXPECT_THAT(failure.message, ::testing::HasSubstr("nowhere"));
  }
}

TEST_F(Files, FoldersAreWalkedParentsFirst) {
  for (const char* key : {"a/b/x", ".hidden/x", "c/x"}) write(key, "1");
  std::vector<std::string> folders;
  const Fd fd = open_root(root());
  walk_folders(fd.get(), "", filter, [&](const std::string& folder) {
    folders.push_back(folder);
    return true;
  });
  EXPECT_EQ(folders.size(), 4u);
  EXPECT_EQ(folders[0], "");
  EXPECT_LT(std::find(folders.begin(), folders.end(), "a"), std::find(folders.begin(), folders.end(), "a/b"));
}

}  // namespace
}  // namespace otagate::directory
