#include "state/maintenance.hpp"
#include "state/migrations.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "state/files.hpp"
#include "state/settings.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::optional<std::string> setting(Database& db, const char* key) {
  return must(db.read_sync([&](Reader& r) { return get_setting(r, key); }));
}

void set(Database& db, const char* key, std::string_view value) {
  must(db.write_sync([&](Writer& w) { return put_setting(w, key, value); }));
}

void damage(const std::filesystem::path& path) {
  const auto size = std::filesystem::file_size(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  for (std::uintmax_t page = 4096; page < size; page += 4096) {
    file.seekp(static_cast<std::streamoff>(page));
    file << std::string(64, '\xa5');
  }
}

TEST(Backup, OfALiveDatabaseIsOneConsistentMoment) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "left", "0");
  set(*db, "right", "0");
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    for (int i = 1; !stop; ++i)
      must(db->write_sync([&](Writer& w) -> Result<void> {
        if (auto put = put_setting(w, "left", std::to_string(i)); !put) return put;
        return put_setting(w, "right", std::to_string(i));
      }));
  });
  for (int i = 0; i < 5; ++i) {
    must(backup_file(dir / "state.db", dir / "backup.db"));
    EXPECT_THAT(must(check_file(dir / "backup.db")).problems, IsEmpty());
    auto copy = open_or_die(dir / "backup.db");
    EXPECT_EQ(setting(*copy, "left"), setting(*copy, "right"));
  }
  stop = true;
  busy.join();
  EXPECT_FALSE(std::filesystem::exists(dir / "backup.db.part"));
}

TEST(Restore, OfALiveDatabaseReplacesAllOfItAtOnce) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "k", "old");
  must(backup_file(dir / "state.db", dir / "backup.db"));
  set(*db, "k", "new");
  set(*db, "later", "x");
  must(db->restore(dir / "backup.db"));
  EXPECT_EQ(setting(*db, "k"), "old");
  EXPECT_EQ(setting(*db, "later"), std::nullopt);
  set(*db, "after", "works");
  db.reset();

  db = open_or_die(dir / "state.db");
  EXPECT_EQ(setting(*db, "k"), "old");
  EXPECT_EQ(setting(*db, "after"), "works");
  auto previous = open_or_die(dir / "state.db.before-restore");
  EXPECT_EQ(setting(*previous, "later"), "x");
}

TEST(Restore, RefusesADamagedBackupAndChangesNothing) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "k", std::string(50'000, 'x'));
  must(backup_file(dir / "state.db", dir / "backup.db"));
  damage(dir / "backup.db");
  EXPECT_FALSE(db->restore(dir / "backup.db"));
  EXPECT_FALSE(db->restore(dir / "no-such.db"));
  EXPECT_EQ(setting(*db, "k")->size(), 50'000U);
  EXPECT_EQ(restore_file(dir / "state.db", dir / "backup.db").error().code(), Code::busy);
  db.reset();
  EXPECT_EQ(restore_file(dir / "state.db", dir / "backup.db").error().code(), Code::permanent);
  db = open_or_die(dir / "state.db");
  EXPECT_EQ(setting(*db, "k")->size(), 50'000U);
}

TEST(RestoreFile, PutsABackupInThePlaceOfADamagedDatabaseAndKeepsThat) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "k", "good");
  must(backup_file(dir / "state.db", dir / "backup.db"));
  db.reset();
  damage(dir / "state.db");
  ASSERT_FALSE(Database::open(dir / "state.db"));
  must(restore_file(dir / "state.db", dir / "backup.db"));
  db = open_or_die(dir / "state.db");
  EXPECT_EQ(setting(*db, "k"), "good");
  EXPECT_TRUE(std::filesystem::exists(dir / "state.db.replaced-1"));
  EXPECT_FALSE(db->created());
}

TEST(RestoreFile, InterruptedOneIsNotTakenForAnEmptyDatabase) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "k", "good");
  must(backup_file(dir / "state.db", dir / "backup.db"));
  db.reset();
  // As a power cut before the last rename leaves it.
  std::filesystem::rename(dir / "state.db", beside(dir / "state.db", kRestoring));
  const auto refused = Database::open(dir / "state.db");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().error.message(), HasSubstr("otagate state restore"));
  must(restore_file(dir / "state.db", dir / "backup.db"));
  EXPECT_EQ(setting(*open_or_die(dir / "state.db"), "k"), "good");
}

TEST(Check, ReportsDamage) {
  TempDir dir;
  {
    auto db = open_or_die(dir / "state.db");
    set(*db, "k", std::string(50'000, 'x'));
  }
  EXPECT_THAT(must(check_file(dir / "state.db")).problems, IsEmpty());
  damage(dir / "state.db");
  const auto report = check_file(dir / "state.db");
  EXPECT_TRUE(!report || !report->problems.empty());
}

TEST(Check, WorksOnALiveDatabase) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  set(*db, "k", "in the log only");
  const CheckReport report = must(check_file(dir / "state.db"));
  EXPECT_EQ(report.schema_version, latest_version());
  EXPECT_THAT(report.problems, IsEmpty());
  set(*db, "k", "still works");
}

}  // namespace
}  // namespace otagate::state
