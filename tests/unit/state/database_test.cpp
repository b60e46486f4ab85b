#include "state/database.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <latch>
#include <vector>

#include "state/settings.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Holds the writer thread until released, so that requests queue up behind it.
class Blocker {
 public:
  explicit Blocker(Database& db) {
    db.write([this](Writer&) -> Result<void> {
      entered_.set_value();
      release_.get_future().wait();
      return {};
    });
    entered_.get_future().wait();
  }
  void release() { release_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> release_;
};

Result<void> count_up(Writer& w) {
  return w.run(
      "INSERT INTO setting (key, value) VALUES ('n', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1",
      {});
}

TEST(Database, AcknowledgedWriteIsSeenByTheNextReadAndTheNextRun) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  EXPECT_TRUE(db->created());
  must(db->write_sync([](Writer& w) { return put_setting(w, "k", "v"); }));
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "k"); })), "v");
  db.reset();

  db = open_or_die(dir / "state.db");
  EXPECT_FALSE(db->created());
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "k"); })), "v");
}

TEST(Database, WaitingRequestsShareOneCommit) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  Blocker blocker(*db);
  const std::uint64_t before = db->stats().commits;
  std::atomic<int> good = 0;
  std::latch all(500);
  for (int i = 0; i < 500; ++i)
    db->write(count_up, [&](Result<void> outcome) {
      good += outcome.has_value();
      all.count_down();
    });
  EXPECT_EQ(db->stats().write_queue, 500U);
  blocker.release();
  all.wait();
  EXPECT_EQ(good, 500);
  EXPECT_EQ(db->stats().commits - before, 2U);  // the blocker's own, and one for all the others
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "n"); })), "500");
}

TEST(Database, FailingRequestTakesNoOtherWithIt) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  Blocker blocker(*db);
  std::vector<std::string> log;
  std::latch all(3);
  const auto done = [&](const char* name) {
    return [&, name](const Result<void>& outcome) {
      log.push_back(std::string(name) + (outcome ? " ok" : " " + outcome.error().message()));
      all.count_down();
    };
  };
  db->write([](Writer& w) { return put_setting(w, "first", "1"); }, done("first"));
  db->write(
      [](Writer& w) -> Result<void> {
        if (auto put = put_setting(w, "second", "half done"); !put) return put;
        return fail(Code::changed, "no");
      },
      done("second"));
  db->write([](Writer& w) { return put_setting(w, "third", "3"); }, done("third"));
  blocker.release();
  all.wait();
  EXPECT_THAT(log, ElementsAre("first ok", "second no", "third ok"));
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "first"); })), "1");
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "second"); })), std::nullopt);
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "third"); })), "3");
}

TEST(Database, WrongSqlIsAnErrorThatShowsIt) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  const auto outcome = db->write_sync([](Writer& w) { return w.run("UPDATE nowhere SET x = 1", {}); });
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message(), HasSubstr("no such table: nowhere"));
  EXPECT_THAT(outcome.error().message(), HasSubstr("UPDATE nowhere"));
}

TEST(Database, FullQueueAnswersBusyAtOnce) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.write_queue = 2});
  Blocker blocker(*db);
  std::latch accepted(2);
  for (int i = 0; i < 2; ++i)
    db->write(count_up, [&](const Result<void>& outcome) {
      EXPECT_TRUE(outcome);
      accepted.count_down();
    });
  std::optional<Code> code;
  db->write(count_up,
            [&](const Result<void>& outcome) { code = outcome ? Code::ok : outcome.error().code(); });
  EXPECT_EQ(code, Code::busy);  // already, on this thread
  blocker.release();
  accepted.wait();
  EXPECT_TRUE(db->write_sync(count_up));
}

TEST(Database, ReadsHaveABoundedQueueToo) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.read_queue = 1});
  std::promise<void> entered;
  std::promise<void> release;
  db->read(
      [&](Reader&) -> Result<void> {
        entered.set_value();
        release.get_future().wait();
        return {};
      },
      [](const Result<void>&) {});
  entered.get_future().wait();
  std::promise<Result<void>> second;
  const auto nothing = [](Reader&) -> Result<void> { return {}; };
  db->read(nothing, [&](Result<void> outcome) { second.set_value(std::move(outcome)); });
  std::optional<Code> code;
  db->read(nothing, [&](const Result<void>& outcome) { code = outcome ? Code::ok : outcome.error().code(); });
  EXPECT_EQ(code, Code::busy);
  release.set_value();
  EXPECT_TRUE(second.get_future().get());
}

TEST(Database, LongReadEndsWithDeadlineAndTheNextOneWorks) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  const auto start = std::chrono::steady_clock::now();
  const auto endless = db->read_sync([](Reader& r) {
    return r.one("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", {},
                 [](const Row& row) { return row.i64(0); });
  });
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code(), Code::deadline);
  EXPECT_GE(took, std::chrono::milliseconds(100));
  EXPECT_LT(took, std::chrono::seconds(5));
  EXPECT_EQ(db->stats().read_deadlines, 1U);
  EXPECT_TRUE(db->read_sync([](Reader& r) { return get_setting(r, "k"); }));
}

TEST(Database, ReadKeepsOneSnapshotWhileOthersWrite) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.read_limit = std::chrono::seconds(30)});
  must(db->write_sync([](Writer& w) { return put_setting(w, "k", "old"); }));
  const auto values = must(db->read_sync([&](Reader& r) -> Result<std::vector<std::string>> {
    const auto before = must(get_setting(r, "k"));
    must(db->write_sync([](Writer& w) { return put_setting(w, "k", "new"); }));
    return std::vector<std::string>{*before, *must(get_setting(r, "k"))};
  }));
  EXPECT_THAT(values, ElementsAre("old", "old"));
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "k"); })), "new");
}

TEST(Database, ReaderCannotWrite) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  const auto outcome = db->read_sync(
      [](Reader& r) { return r.each("DELETE FROM setting", {}, [](const Row&) { return true; }); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), Code::denied);
}

TEST(Database, ClosingCompletesWhatIsQueuedAndMarksTheRunClean) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.boot_id = "boot-1"});
  EXPECT_FALSE(db->last_run().clean);
  std::atomic<int> good = 0;
  for (int i = 0; i < 100; ++i)
    db->write(count_up, [&](const Result<void>& outcome) { good += outcome.has_value(); });
  db.reset();
  EXPECT_EQ(good, 100);
  EXPECT_FALSE(std::filesystem::exists(dir / "state.db-wal"));

  db = open_or_die(dir / "state.db", {.boot_id = "boot-2"});
  EXPECT_TRUE(db->last_run().clean);
  EXPECT_FALSE(db->last_run().same_boot);
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "n"); })), "100");
}

TEST(Database, IdleCheckpointEmptiesTheLogIntoTheDatabase) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.idle = std::chrono::milliseconds(5), .idle_checkpoint_bytes = 1});
  const std::uint64_t before = db->stats().checkpoints;
  must(db->write_sync([](Writer& w) { return put_setting(w, "k", std::string(100'000, 'x')); }));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (db->stats().checkpoints == before && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_GT(db->stats().checkpoints, before);
  EXPECT_GT(std::filesystem::file_size(dir / "state.db"), 100'000U);
}

TEST(Database, LogIsBegunAnewUnderLoad) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db", {.wal_limit_bytes = 1 << 20});
  for (int i = 0; i < 40; ++i)
    must(db->write_sync(
        [&](Writer& w) { return put_setting(w, "k" + std::to_string(i), std::string(100'000, 'x')); }));
  // The last checkpoint may still run: one more request waits for it.
  must(db->write_sync([](Writer& w) { return put_setting(w, "end", ""); }));
  EXPECT_GE(db->stats().checkpoints, 3U);
  EXPECT_LT(std::filesystem::file_size(dir / "state.db-wal"), 2U << 20);
}

// A backup may hold its snapshot for minutes: nobody who writes meanwhile waits for it, and what the log
// has grown by is given back afterwards.
TEST(Database, LogThatALongReaderLetGrowIsCut) {
  TempDir dir;
  auto db =
      open_or_die(dir / "state.db", {.read_limit = std::chrono::minutes(1), .wal_limit_bytes = 1 << 20});
  char text = 'a';  // SQLite writes no page that stays the same
  const auto fill = [&](int megabytes) {
    for (int i = 0; i < megabytes * 10; ++i, text = text == 'z' ? 'a' : static_cast<char>(text + 1))
      must(db->write_sync(
          [&](Writer& w) { return put_setting(w, "k" + std::to_string(i), std::string(100'000, text)); }));
  };
  const auto log_size = [&] { return std::filesystem::file_size(dir / "state.db-wal"); };
  fill(1);
  std::promise<void> holding;
  std::promise<void> release;
  std::promise<void> released;
  db->read(
      [&](Reader& r) -> Result<void> {
        auto got = get_setting(r, "k0");
        holding.set_value();
        release.get_future().wait();
        return got ? Result<void>() : fail(got.error());
      },
      [&](const Result<void>&) { released.set_value(); });
  holding.get_future().wait();
  const auto before = std::chrono::steady_clock::now();
  fill(4);
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_GT(log_size(), 4U << 20);
  EXPECT_LT(db->stats().checkpoints, 30U);  // not one for every commit
  // Each TRUNCATE would have waited a second for the reader.
  EXPECT_LT(took, std::chrono::seconds(10));
  release.set_value();
  released.get_future().wait();
  fill(2);
  EXPECT_LT(log_size(), 3U << 20);
}

// A full disk, provoked by the kernel's limit on the size of files: what was not acknowledged is not there,
// what was is, and writing goes on once there is room.
TEST(Database, FailedDiskWriteFailsItsRequestsAndRecovers) {
  TempDir dir;
  auto db = open_or_die(dir / "state.db");
  must(db->write_sync([](Writer& w) { return put_setting(w, "before", "1"); }));

  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small{256 << 10, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto outcome =
      db->write_sync([](Writer& w) { return put_setting(w, "large", std::string(8 << 20, 'x')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  ::signal(SIGXFSZ, old_handler);

  ASSERT_FALSE(outcome);
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "large"); })), std::nullopt);
  EXPECT_TRUE(db->write_sync([](Writer& w) { return put_setting(w, "after", "1"); }));
  db.reset();
  db = open_or_die(dir / "state.db");
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "before"); })), "1");
  EXPECT_EQ(must(db->read_sync([](Reader& r) { return get_setting(r, "after"); })), "1");
}

// A child writes numbers and reports each through a pipe once it is acknowledged; it is killed in the middle,
// twenty times. Every number that came through the pipe must be there.
TEST(Database, AcknowledgedRowsSurviveKill) {
  TempDir dir;
  const std::filesystem::path path = dir / "state.db";
  { auto db = open_or_die(path); }
  int next = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      auto db = Database::open(path);
      if (!db) ::_exit(1);
      for (int i = next;; ++i)
        (*db)->write([i](Writer& w) { return put_setting(w, "k" + std::to_string(i), "x"); },
                     [i, fd = ends[1]](const Result<void>& outcome) {
                       if (outcome && ::write(fd, &i, sizeof i) != sizeof i) ::_exit(2);
                     });
    }
    ::close(ends[1]);
    std::vector<int> acknowledged;
    int number = 0;
    while (acknowledged.size() < 30U + static_cast<unsigned>(round) &&
           ::read(ends[0], &number, sizeof number) == sizeof number)
      acknowledged.push_back(number);
    ::kill(child, SIGKILL);
    // What it still acknowledged before it died.
    while (::read(ends[0], &number, sizeof number) == sizeof number) acknowledged.push_back(number);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(ends[0]);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_GE(acknowledged.size(), 30U);

    auto db = open_or_die(path);
    EXPECT_FALSE(db->last_run().clean);
    EXPECT_TRUE(db->last_run().same_boot);
    for (const int i : acknowledged)
      ASSERT_TRUE(must(db->read_sync([&](Reader& r) { return get_setting(r, "k" + std::to_string(i)); })))
          << "row " << i << " of round " << round;
    next = acknowledged.back() + 1;
  }
}

}  // namespace
}  // namespace otagate::state
