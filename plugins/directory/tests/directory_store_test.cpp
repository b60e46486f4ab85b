#include "directory/directory_store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/testing/fake_store_host.hpp"

namespace otagate::directory {
namespace {

namespace fs = std::filesystem;
using otagate::testing::FakeStoreHost;
using otagate::testing::OptionValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Store : public ::testing::Test {
 protected:
  Store() {
    std::string name = ::testing::TempDir() + "otg-dir-XXXXXX";
    root = mkdtemp(name.data());
  }
  ~Store() override {
    host.reset();
    fs::remove_all(root);
  }
  // With settle = 0 everything that is closed counts as complete.
  void start(std::map<std::string, OptionValue> options = {{"settle", std::int64_t{0}}}) {
    options.try_emplace("path", root.string());
    host = std::make_unique<FakeStoreHost>(std::move(options));
    const auto made = host->create();
    ASSERT_EQ(made.status, OTAGATE_OK) << made.message;
    // The hint that says that the watches are in place.
    ASSERT_TRUE(host->wait([](const FakeStoreHost& h) { return h.was_changed(""); }));
    host->forget_changes();
  }
  void write(const std::string& key, const std::string& bytes) {
    fs::create_directories((root / key).parent_path());
    std::ofstream(root / key) << bytes;
  }
  std::vector<std::string> keys() {
    std::vector<std::string> found;
    for (const sdk::Object& object : host->list_all().objects) found.push_back(object.key);
    return found;
  }
  bool sees(const std::string& key) {
    return host->wait([&](const FakeStoreHost& h) { return h.was_changed(key); });
  }

  fs::path root;
  std::unique_ptr<FakeStoreHost> host;
};

TEST_F(Store, ListsFilesWithTheirDigests) {
  write("a b/c+d%/ü.bin", "abc");
  start();
  const auto listed = host->list();
  ASSERT_EQ(listed.status, OTAGATE_OK) << listed.message;
  ASSERT_EQ(listed.objects.size(), 1u);
  const sdk::Object& object = listed.objects[0];
  EXPECT_EQ(object.key, "a b/c+d%/ü.bin");
  EXPECT_EQ(object.size, 3u);
  EXPECT_EQ(object.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(object.ranges);
  EXPECT_FALSE(object.change_token.empty());
  EXPECT_GT(object.modified_ms, 1'600'000'000'000);
  EXPECT_EQ(listed.completions, 1);
}

TEST_F(Store, HashesOnlyWhatIsWanted) {
  write("small", "abc");
  write("large", std::string(2000, 'x'));
  write("empty", "");
  start({{"settle", std::int64_t{0}}, {"hash_max", std::int64_t{1000}}});
  const auto listed = host->list();
  EXPECT_FALSE(listed.find("small")->sha256.empty());
  EXPECT_TRUE(listed.find("large")->sha256.empty());
  EXPECT_EQ(listed.find("empty"), nullptr);
  start({{"settle", std::int64_t{0}}, {"hash", false}});
  EXPECT_TRUE(host->list().find("small")->sha256.empty());
}

TEST_F(Store, PagesWithoutLossOrRepeat) {
  for (int i = 0; i < 57; ++i) write("d" + std::to_string(i % 5) + "/f" + std::to_string(i), "x");
  start();
  const std::vector<std::string> whole = keys();
  EXPECT_EQ(whole.size(), 57u);
  for (const std::uint32_t limit : {1u, 7u, 57u}) {
    std::vector<std::string> paged;
    for (const sdk::Object& object : host->list_all(limit).objects) paged.push_back(object.key);
    EXPECT_EQ(paged, whole) << limit;
  }
}

TEST_F(Store, FetchesRangesAsTheContractSays) {
  const std::string bytes(200'000, 'q');
  write("x", bytes + "end");
  start();
  const std::string token = host->list().find("x")->change_token;
  const auto all = host->fetch("x", token);
  EXPECT_EQ(all.bytes, bytes + "end");
  EXPECT_EQ(all.total, 200'003u);
  EXPECT_EQ(all.change_token, token);
  EXPECT_EQ(host->fetch("x", token, 200'000, 2).bytes, "en");
  EXPECT_EQ(host->fetch("x", token, 200'000, 4000).bytes, "end");
  const auto beyond = host->fetch("x", token, 200'003, 10);
  EXPECT_EQ(beyond.status, OTAGATE_OK);
  EXPECT_EQ(beyond.bytes, "");
  EXPECT_EQ(host->fetch("x", token, 1ull << 62, 10).status, OTAGATE_OK);
  EXPECT_EQ(host->fetch("y").status, OTAGATE_NOT_FOUND);
  EXPECT_EQ(host->fetch("../x").status, OTAGATE_INVALID);
}

TEST_F(Store, NeverMixesTwoStatesOfAFile) {
  write("x", std::string(500'000, '1'));
  start();
  const std::string token = host->list().find("x")->change_token;
  bool rewritten = false;
  const auto fetched = host->fetch("x", token, 0, 0, [&](std::string_view) {
    if (!std::exchange(rewritten, true)) {
      // In place: the same inode, so that an open descriptor sees the new bytes.
      std::fstream(root / "x", std::ios::in | std::ios::out) << std::string(500'000, '2');
    }
    return OTAGATE_CONTINUE;
  });
  EXPECT_EQ(fetched.status, OTAGATE_CHANGED);
  EXPECT_EQ(fetched.bytes.find('2'), std::string::npos);
  EXPECT_EQ(host->fetch("x", token).status, OTAGATE_CHANGED);
  EXPECT_EQ(host->fetch("x").bytes, std::string(500'000, '2'));
}

TEST_F(Store, ReportsATruncatedFileAsChanged) {
  write("x", std::string(500'000, '1'));
  start();
  const auto fetched = host->fetch("x", "", 0, 0, [&](std::string_view) {
    fs::resize_file(root / "x", 100);
    return OTAGATE_CONTINUE;
  });
  EXPECT_EQ(fetched.status, OTAGATE_CHANGED);
}

TEST_F(Store, StopsWhenTheSinkSaysSo) {
  write("x", std::string(1'000'000, '1'));
  start();
  const auto fetched = host->fetch("x", "", 0, 0, [](std::string_view) { return OTAGATE_STOP; });
  EXPECT_EQ(fetched.status, OTAGATE_CANCELLED);
  EXPECT_EQ(fetched.completions, 1);
  EXPECT_LE(fetched.bytes.size(), OTAGATE_MESSAGE_MAX);
}

TEST_F(Store, HintsAtNewAndRenamedAndDeletedFiles) {
  start();
  write("new", "1");
  EXPECT_TRUE(sees("new"));
  fs::rename(root / "new", root / "renamed");
  EXPECT_TRUE(sees("renamed"));
  host->forget_changes();
  fs::remove(root / "renamed");
  EXPECT_TRUE(sees("renamed"));
  EXPECT_THAT(keys(), ElementsAre());
}

TEST_F(Store, WatchesFoldersThatAppear) {
  start();
  fs::create_directories(root / "a/b");
  EXPECT_TRUE(sees("a"));
  host->forget_changes();
  write("a/b/x", "1");
  EXPECT_TRUE(
      host->wait([](const FakeStoreHost& h) { return h.was_changed("a/b/x") || h.was_changed("a"); }));
  fs::rename(root / "a", root / "c");
  EXPECT_TRUE(sees("c"));
  host->forget_changes();
  write("c/b/y", "1");
  EXPECT_TRUE(sees("c/b/y"));
}

TEST_F(Store, LeavesAloneWhatIsBeingWritten) {
  start({{"settle", std::int64_t{0}}});
  const int fd = open((root / "slow").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(::write(fd, "half", 4), 4);
  // The creation's hint says nothing of the write; a later file's hint comes after both were seen.
  write("marker", "1");
  EXPECT_TRUE(sees("marker"));
  EXPECT_THAT(keys(), ElementsAre("marker"));
  host->forget_changes();
  close(fd);
  EXPECT_TRUE(sees("slow"));
  EXPECT_THAT(keys(), ElementsAre("marker", "slow"));
}

TEST_F(Store, WaitsUntilAYoungFileHasComeToRest) {
  start({{"settle", std::int64_t{1500}}});
  write("young", "1");
  EXPECT_THAT(keys(), ElementsAre());
  EXPECT_TRUE(sees("young"));
  EXPECT_THAT(keys(), ElementsAre("young"));
}

TEST_F(Store, TakesAStampOfTheFutureForOld) {
  write("future", "1");
  fs::last_write_time(root / "future", fs::file_time_type::clock::now() + std::chrono::hours(24));
  start({{"settle", std::int64_t{60'000}}});
  EXPECT_THAT(keys(), ElementsAre("future"));
}

TEST_F(Store, WaitsForAFolderThatIsMissing) {
  fs::remove(root);
  host = std::make_unique<FakeStoreHost>(
      std::map<std::string, OptionValue>{{"path", root.string()}, {"settle", std::int64_t{0}}});
  ASSERT_EQ(host->create().status, OTAGATE_OK);
  EXPECT_TRUE(host->wait([](const FakeStoreHost& h) { return h.health() == OTAGATE_BUSY; }));
  const auto listed = host->list();
  EXPECT_EQ(listed.status, OTAGATE_TRANSIENT);
  EXPECT_THAT(listed.message, HasSubstr(root.string()));
  fs::create_directory(root);
  EXPECT_TRUE(
      host->wait([](const FakeStoreHost& h) { return h.health() == OTAGATE_OK && h.was_changed(""); }));
  write("x", "1");
  EXPECT_TRUE(sees("x"));
  fs::remove_all(root);
  EXPECT_TRUE(host->wait([](const FakeStoreHost& h) { return h.health() == OTAGATE_BUSY; }));
}

TEST_F(Store, RefusesARelativePath) {
  FakeStoreHost other({{"path", std::string("firmware")}});
  const auto made = other.create();
  EXPECT_EQ(made.status, OTAGATE_INVALID);
  EXPECT_THAT(made.message, HasSubstr("absolute"));
}

TEST_F(Store, SaysWhatItCan) {
  start();
  EXPECT_EQ(host->caps().flags,
            OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_NOTIFIES | OTAGATE_STORE_LOCAL);
  EXPECT_EQ(host->stat("x").status, OTAGATE_UNSUPPORTED);
}

TEST_F(Store, ServesCallsOfManyThreadsAtOnce) {
  for (int i = 0; i < 40; ++i)
    write("f" + std::to_string(i), std::string(100'000, static_cast<char>('a' + i % 26)));
  start();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const std::string key = "f" + std::to_string((i + t * 5) % 40);
        if (host->fetch(key).bytes.size() != 100'000) ++wrong;
        if (i % 10 == t && host->list_all(9).objects.size() != 40) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace otagate::directory
