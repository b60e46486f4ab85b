#include "state/events.hpp"

#include <gmock/gmock.h>

#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Events : public StateTest {
 protected:
  std::int64_t append(const char* kind, std::int64_t wall_ms = 1000, bool synchronised = true) {
    return write([&](Writer& w) {
      return append_event(
          w, {.wall_ms = wall_ms, .clock_synchronised = synchronised, .kind = kind, .message = "m"});
    });
  }
  std::vector<std::int64_t> page(const EventQuery& query) {
    std::vector<std::int64_t> list;
    for (const Event& event : read([&](Reader& r) { return page_events(r, query); }))
      list.push_back(event.sequence);
    return list;
  }
};

TEST_F(Events, KeepEveryField) {
  Event event{.wall_ms = 5,
              .clock_synchronised = true,
              .kind = "verify.failed",
              .severity = Severity::error,
              .instance = "vendor",
              .firmware = "fw/1/x",
              .blob = digest_of("b"),
              .device = "d1",
              .message = "digest differs",
              .data = "{\"n\":1}"};
  event.sequence = write([&](Writer& w) { return append_event(w, event); });
  const auto found = read([](Reader& r) { return page_events(r, {}); }).at(0);
  EXPECT_EQ(found.sequence, event.sequence);
  EXPECT_EQ(found.wall_ms, 5);
  EXPECT_TRUE(found.clock_synchronised);
  EXPECT_EQ(found.kind, "verify.failed");
  EXPECT_EQ(found.severity, Severity::error);
  EXPECT_EQ(found.instance, "vendor");
  EXPECT_EQ(found.firmware, "fw/1/x");
  EXPECT_EQ(found.blob, digest_of("b"));
  EXPECT_EQ(found.device, "d1");
  EXPECT_EQ(found.message, "digest differs");
  EXPECT_EQ(found.data, "{\"n\":1}");
}

TEST_F(Events, ArePagedBothWaysAndFiltered) {
  EXPECT_EQ(read([](Reader& r) { return last_event(r); }), 0);
  for (const char* kind : {"verify.failed", "fill.started", "verify.ok", "verifyx", "fill.started"})
    append(kind);
  EXPECT_EQ(read([](Reader& r) { return last_event(r); }), 5);
  EXPECT_THAT(page({}), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(page({.before = 4, .limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(page({.after = 3}), ElementsAre(4, 5));
  EXPECT_THAT(page({.after = 0, .kind = "fill.started"}), ElementsAre(2, 5));
  EXPECT_THAT(page({.kind = "verify."}), ElementsAre(3, 1));
  EXPECT_THAT(page({.kind = "none"}), IsEmpty());
}

TEST_F(Events, AreCappedByCountAndNumbersGoOn) {
  const EventLimits limits{.max_count = 100};
  write([&](Writer& w) -> Result<void> {
    for (int i = 0; i < 1024; ++i)
      if (auto appended = append_event(w, {.kind = "k", .message = "m"}, limits); !appended)
        return fail(appended.error());
    return {};
  });
  const auto left = page({.limit = 1000});
  EXPECT_THAT(left, SizeIs(100));
  EXPECT_EQ(left.front(), 1024);
  EXPECT_EQ(append("k"), 1025);
}

TEST_F(Events, AgeOnlyOnASynchronisedClock) {
  append("old", 1'000, true);
  append("unbelievable", 0, false);
  append("new", 90'000, true);
  const EventLimits limits{.max_count = 100, .max_age_ms = 50'000};
  EXPECT_EQ(write([&](Writer& w) { return prune_events(w, limits, 100'000, false); }), 0);
  EXPECT_EQ(write([&](Writer& w) { return prune_events(w, limits, 100'000, true); }), 1);
  EXPECT_THAT(page({}), ElementsAre(3, 2));
}

TEST_F(Events, NumbersAreNotUsedAgainWhenAllWerePruned) {
  append("k", 1000);
  write([](Writer& w) { return prune_events(w, {.max_count = 100, .max_age_ms = 0}, 2000, true); });
  EXPECT_THAT(page({}), IsEmpty());
  EXPECT_EQ(append("k"), 2);
}

TEST_F(Events, OversizedOnesAreRefused) {
  const auto outcome = db_->write_sync(
      [](Writer& w) { return append_event(w, {.kind = "k", .message = std::string(5000, 'x')}); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), Code::invalid);
}

}  // namespace
}  // namespace otagate::state
