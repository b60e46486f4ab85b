#include "state/migrations.hpp"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "state/connection.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"
#include "state/settings.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// "table store: CREATE TABLE ..." without comments and spacing, sorted.
std::vector<std::string> schema_of(const std::filesystem::path& path) {
  auto connection = must(Connection::open(path, Connection::Mode::read_only));
  Reader reader(*connection);
  auto lines =
      must(reader.all("SELECT type || ' ' || name || ': ' || sql FROM sqlite_schema WHERE sql IS NOT NULL "
                      "AND name NOT LIKE 'sqlite_%'",
                      {}, [](const Row& row) {
                        std::string line;
                        bool comment = false;
                        const std::string text = row.text(0);
                        for (std::size_t i = 0; i < text.size(); ++i) {
                          if (text.compare(i, 2, "--") == 0) comment = true;
                          if (text[i] == '\n') comment = false;
                          if (!comment && text[i] != ' ' && text[i] != '\n') line += text[i];
                        }
                        return line;
                      }));
  std::sort(lines.begin(), lines.end());
  return lines;
}

void load_dump(const std::filesystem::path& path, const std::string& dump) {
  std::ifstream file(std::filesystem::path(OTAGATE_TEST_DATA) / dump);
  const std::string sql((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(sql.empty()) << dump;
  auto connection = must(Connection::open(path, Connection::Mode::create));
  must(connection->script(sql));
}

TEST(Migrations, AreNumberedFromOneWithoutGaps) {
  int expected = 0;
  for (const Migration& step : migrations()) EXPECT_EQ(step.version, ++expected);
}

// For each released version there is a dump, vNNN.sql, of a database it wrote.
TEST(Migrations, EveryReleasedVersionComesForward) {
  TempDir dir;
  { auto fresh = open_or_die(dir / "fresh.db"); }
  const auto latest = schema_of(dir / "fresh.db");
  for (int version = 1; version <= latest_version(); ++version) {
    const std::string name = "v00" + std::to_string(version) + ".sql";
    const std::filesystem::path path = dir / name.c_str();
    load_dump(path, name);
    {
      auto db = open_or_die(path);
      EXPECT_FALSE(db->created());
      const auto store = must(db->read_sync([](Reader& r) { return find_store(r, "vendor"); }));
      ASSERT_TRUE(store);
      EXPECT_EQ(store->sync_sequence, 7);
      const auto found =
          must(db->read_sync([](Reader& r) { return resolve(r, "sensor", "1.2.3", std::nullopt); }));
      ASSERT_THAT(found, SizeIs(1));
      EXPECT_EQ(found[0].key, "fw/sensor-1.2.3.bin");
      EXPECT_TRUE(found[0].cached);
    }
    EXPECT_EQ(schema_of(path), latest) << name;
  }
}

TEST(Migrations, FailedStepLeavesTheVersionBefore) {
  TempDir dir;
  const Migration steps[] = {{1, "001_good.sql", "CREATE TABLE a (x)"},
                             {2, "002_bad.sql", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"}};
  auto connection = must(Connection::open(dir / "x.db", Connection::Mode::create));
  const auto done = migrate(*connection, steps);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message(), HasSubstr("002_bad.sql"));
  EXPECT_EQ(must(connection->number("PRAGMA user_version")), 1);
  EXPECT_EQ(must(connection->number("SELECT count(*) FROM sqlite_schema")), 1);

  // A later release mends it: the run goes on where it stopped.
  const Migration mended[] = {steps[0], {2, "002_good.sql", "CREATE TABLE b (x)"}};
  must(migrate(*connection, mended));
  EXPECT_EQ(must(connection->number("PRAGMA user_version")), 2);
}

TEST(Migrations, StepThatWouldLeaveOrphansIsUndone) {
  TempDir dir;
  const Migration steps[] = {{1, "001_make.sql",
                              "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id));"
                              "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)"},
                             {2, "002_lose.sql", "DELETE FROM p"}};
  auto connection = must(Connection::open(dir / "x.db", Connection::Mode::create));
  EXPECT_FALSE(migrate(*connection, steps));
  EXPECT_EQ(must(connection->number("SELECT count(*) FROM p")), 1);
}

}  // namespace
}  // namespace otagate::state
