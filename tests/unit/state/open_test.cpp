#include "state/open.hpp"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <fstream>
#include <vector>

#include "state/maintenance.hpp"
#include "state/settings.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void overwrite(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Runs SQL past the product, as somebody else's tool would.
void tamper(const std::filesystem::path& path, const char* sql) {
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
  sqlite3_close(raw);
}

class Open : public testing::Test {
 protected:
  TempDir dir_;
  const std::filesystem::path path_ = dir_ / "state.db";

  void make_database() {
    auto db = open_or_die(path_);
    must(db->write_sync([](Writer& w) -> Result<void> {
      for (int i = 0; i < 500; ++i)
        if (auto put = put_setting(w, "key" + std::to_string(i), std::string(200, 'v')); !put) return put;
      return {};
    }));
  }

  // Must be refused with that code, and every byte left as it is.
  void expect_refused(int exit_code, const char* command) {
    const std::string before = content(path_);
    const auto db = Database::open(path_);
    ASSERT_FALSE(db);
    EXPECT_EQ(db.error().exit_code, exit_code);
    EXPECT_THAT(db.error().error.message(), AllOf(HasSubstr(path_.string()), HasSubstr(command)));
    EXPECT_EQ(content(path_), before);
  }
};

TEST_F(Open, NewDatabaseIsPrivate) {
  make_database();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(Open, NotADatabaseIsRefused) {
  overwrite(path_, std::string(10'000, 'x'));
  expect_refused(kExitStateCorrupt, "otagate state restore");
}

TEST_F(Open, DamagedPagesAreRefused) {
  make_database();
  std::string bytes = content(path_);
  // The heads of all pages but the first: their cell counts and offsets become nonsense.
  for (std::size_t page = 4096; page < bytes.size(); page += 4096)
    for (std::size_t i = 0; i < 32; ++i) bytes[page + i] = static_cast<char>(~bytes[page + i]);
  overwrite(path_, bytes);
  expect_refused(kExitStateCorrupt, "otagate state check");
}

TEST_F(Open, CutOffFileIsRefused) {
  make_database();
  const std::string bytes = content(path_);
  overwrite(path_, bytes.substr(0, bytes.size() / 2 / 4096 * 4096));
  expect_refused(kExitStateCorrupt, "otagate state check");
}

TEST_F(Open, NewerSchemaIsRefused) {
  make_database();
  tamper(path_, "PRAGMA user_version = 999");
  expect_refused(kExitStateNewer, "otagate state restore");
  EXPECT_EQ(check_file(path_).error().code(), Code::unsupported);
}

TEST_F(Open, SomebodyElsesDatabaseIsRefused) {
  tamper(path_, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
  expect_refused(kExitStateCorrupt, "move the file away");
}

TEST_F(Open, MissingFileWithALogIsRefused) {
  overwrite(dir_ / "state.db-wal", std::string(5000, 'x'));
  const auto db = Database::open(path_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().exit_code, kExitStateCorrupt);
  EXPECT_EQ(content(dir_ / "state.db-wal").size(), 5000U);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Open, SecondOwnerIsRefusedUntilTheFirstIsGone) {
  auto first = open_or_die(path_);
  const auto second = Database::open(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().exit_code, kExitStateInUse);
  first.reset();
  EXPECT_TRUE(Database::open(path_));
}

TEST_F(Open, MissingFolderIsNamed) {
  const auto db = Database::open(dir_ / "no/such/folder/state.db");
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().exit_code, kExitStateUnusable);
  EXPECT_THAT(db.error().error.message(), HasSubstr("no/such/folder"));
}

TEST_F(Open, CreationThatWasInterruptedStartsAgain) {
  tamper(path_, "PRAGMA journal_mode = WAL");  // a header and nothing else
  ASSERT_GT(std::filesystem::file_size(path_), 0U);
  auto db = open_or_die(path_);
  EXPECT_TRUE(db->created());
}

TEST_F(Open, DamageFoundWhileRunningIsReported) {
  { make_database(); }
  // After a clean stop files above this size are not read through, so that the start stays quick.
  std::string bytes = content(path_);
  auto db = open_or_die(path_);
  db.reset();
  for (std::size_t page = 8192; page < bytes.size(); page += 4096)
    for (std::size_t i = 0; i < 32; ++i) bytes[page + i] = static_cast<char>(~bytes[page + i]);
  overwrite(path_, bytes);
  auto opened = Database::open(path_, {.always_check_bytes = 0});
  if (!opened) {
    EXPECT_EQ(opened.error().exit_code, kExitStateCorrupt);
    return;
  }
  const auto all = (*opened)->read_sync([](Reader& r) {
    return r.all("SELECT key, value FROM setting", {}, [](const Row& row) { return row.text(1).size(); });
  });
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code(), Code::permanent);
  EXPECT_THAT(all.error().message(), HasSubstr("otagate state check"));
  EXPECT_TRUE((*opened)->stats().corrupt);
}

}  // namespace
}  // namespace otagate::state
