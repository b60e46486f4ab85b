#include "gateway/paged_read.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <vector>

#include "unit/state/support.hpp"

namespace otagate::gateway {
namespace {

// Every row costs a millisecond of the reader thread, a read may last 40.
class PagedReads : public testing::Test {
 protected:
  static Result<void> look_at(state::Reader& db, std::chrono::microseconds cost) {
    const auto end = std::chrono::steady_clock::now() + cost;
    while (std::chrono::steady_clock::now() < end) {
    }
    return db.each("SELECT 1", {}, [](const state::Row&) { return true; });
  }

  state::TempDir dir_;
  std::unique_ptr<state::Database> db_ =
      state::open_or_die(dir_ / "state.db", {.read_limit = std::chrono::milliseconds(40)});
};

TEST_F(PagedReads, TakesSmallerPartsWhereAReadWouldLastTooLong) {
  constexpr std::size_t kRows = 300;
  std::vector<int> seen(kRows);
  PagedRead reads(*db_);
  const auto done =
      reads.all(kRows, [&](state::Reader& db, std::size_t from, std::size_t to) -> Result<void> {
        for (std::size_t i = from; i < to; ++i) {
          if (auto looked = look_at(db, std::chrono::milliseconds(1)); !looked) return looked;
          seen[i] = 1;
        }
        return {};
      });
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(seen, std::vector<int>(kRows, 1));
  EXPECT_GT(db_->stats().read_deadlines, 0U);  // else this has shown nothing
}

TEST_F(PagedReads, GrowsAgainOnceReadsAreQuick) {
  PagedRead reads(*db_, 1000);
  std::size_t largest = 0;
  const auto done = reads.all(5000, [&](state::Reader&, std::size_t from, std::size_t to) -> Result<void> {
    largest = std::max(largest, to - from);
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(largest, 1000U);
}

TEST_F(PagedReads, GivesUpWhenNotEvenOneRowFits) {
  PagedRead reads(*db_, 4);
  const auto done = reads.once([](state::Reader& db, std::size_t) -> Result<void> {
    if (auto looked = look_at(db, std::chrono::milliseconds(60)); !looked) return looked;
    return look_at(db, std::chrono::milliseconds(0));
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::deadline);
}

TEST_F(PagedReads, OtherErrorsComeAsTheyAre) {
  PagedRead reads(*db_);
  int calls = 0;
  const auto done = reads.once([&](state::Reader&, std::size_t) -> Result<void> {
    ++calls;
    return fail(Code::not_found, "x");
  });
  EXPECT_EQ(done.error().code(), Code::not_found);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace otagate::gateway
