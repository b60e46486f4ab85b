#include "state/outbox.hpp"

#include <gmock/gmock.h>

#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kProgress = 0;

class Outbox : public StateTest {
 protected:
  void put(std::int64_t id, const std::string& subject, int kind, const std::string& to = "store:a") {
    write([&](Writer& db) {
      return put_outbox(
          db, {.id = id, .destination = to, .subject = subject, .kind = kind, .body = "{}", .added_ms = id},
          kProgress);
    });
  }
  std::vector<std::int64_t> ids(const std::string& to = "store:a") {
    std::vector<std::int64_t> all;
    for (const OutboxRow& row : must(db_->read_sync([&](Reader& db) { return page_outbox(db, to, 0, 100); })))
      all.push_back(row.id);
    return all;
  }
};

TEST_F(Outbox, ANewerWordTakesThePlaceOfOneOfItsKindAndOfProgress) {
  put(1, "17", kProgress);
  put(2, "17", kProgress);
  put(3, "18", kProgress);
  EXPECT_THAT(ids(), ElementsAre(2, 3));
  put(4, "17", 1);
  put(5, "17", kProgress);
  put(6, "17", 2);
  EXPECT_THAT(ids(), ElementsAre(3, 4, 6));
  put(7, "17", 1, "store:b");
  EXPECT_THAT(ids(), ElementsAre(3, 4, 6));
  EXPECT_TRUE(must(db_->read_sync([](Reader& db) { return has_outbox(db, "store:a", "17", 2); })));
  EXPECT_FALSE(must(db_->read_sync([](Reader& db) { return has_outbox(db, "store:a", "18", 2); })));
}

TEST_F(Outbox, NumbersAreNeverUsedTwice) {
  put(41, "17", 2);
  write([](Writer& db) { return delete_outbox(db, 41); });
  EXPECT_EQ(must(db_->read_sync([](Reader& db) { return next_outbox(db); })), 42);
}

// What a store that is configured has not heard stays for as long as it takes.
TEST_F(Outbox, OnlyWhatNobodyWillEverHearIsPruned) {
  const auto name = must(db_->read_sync([](Reader& db) {
    return db.one("SELECT name FROM store WHERE configured = 1 LIMIT 1", {},
                  [](const Row& row) { return row.text(0); });
  }));
  ASSERT_TRUE(name);
  put(1, "17", 2, "store:" + *name);
  put(2, "17", 2, "store:gone");
  put(2000, "18", 2, "store:gone");
  write([](Writer& db) -> Result<void> {
    const auto pruned = prune_outbox(db, 1000, 10);
    if (!pruned) return fail(pruned.error());
    EXPECT_EQ(*pruned, 1);
    return {};
  });
  EXPECT_THAT(ids("store:" + *name), ElementsAre(1));
  EXPECT_THAT(ids("store:gone"), ElementsAre(2000));
}

}  // namespace
}  // namespace otagate::state
