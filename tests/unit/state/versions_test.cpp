#include "state/versions.hpp"

#include <gmock/gmock.h>

#include "state/fills.hpp"
#include "state/objects.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Versions : public StateTest {
 protected:
  VersionKey key(std::string name, std::string token = "t") const {
    return {far_, std::move(name), std::move(token)};
  }
};

TEST_F(Versions, FirstTagIsSaidForGood) {
  EXPECT_FALSE(read([&](Reader& r) { return find_version(r, key("k")); }));
  EXPECT_EQ(write([&](Writer& w) { return settle_tag(w, key("k"), "one"); }), "one");
  EXPECT_EQ(write([&](Writer& w) { return settle_tag(w, key("k"), "two"); }), "one");
  EXPECT_EQ(write([&](Writer& w) { return settle_tag(w, key("k", "t2"), "two"); }), "two");
  db_.reset();
  db_ = open_or_die(dir_ / "state.db");
  EXPECT_EQ(read([&](Reader& r) { return find_version(r, key("k")); })->tag, "one");
}

TEST_F(Versions, RetiredTagMakesRoomForTheNextGeneration) {
  write([&](Writer& w) { return settle_tag(w, key("k"), "one"); });
  EXPECT_EQ(write([&](Writer& w) { return retire_tag(w, key("k")); }), 2);
  const auto version = *read([&](Reader& r) { return find_version(r, key("k")); });
  EXPECT_EQ(version.generation, 2);
  EXPECT_EQ(version.tag, std::nullopt);
  EXPECT_EQ(write([&](Writer& w) { return settle_tag(w, key("k"), "one.2"); }), "one.2");
}

TEST_F(Versions, FirstDigestBinds) {
  EXPECT_EQ(write([&](Writer& w) { return settle_digest(w, key("k"), digest_of("a")); }), digest_of("a"));
  EXPECT_EQ(write([&](Writer& w) { return settle_digest(w, key("k"), digest_of("b")); }), digest_of("a"));
  EXPECT_EQ(read([&](Reader& r) { return find_version(r, key("k")); })->digest, digest_of("a"));
}

TEST_F(Versions, RejectionIsLiftedByAChangeOfTokenOrExpectation) {
  write([&](Writer& w) { return reject(w, key("k"), digest_of("a"), "digest differs", 5); });
  const auto rejection = [&](const char* token, const std::optional<Digest>& expected) {
    return read([&](Reader& r) { return find_rejection(r, key("k", token), expected); });
  };
  ASSERT_TRUE(rejection("t", digest_of("a")));
  EXPECT_EQ(rejection("t", digest_of("a"))->reason, "digest differs");
  EXPECT_FALSE(rejection("t", digest_of("b")));
  EXPECT_FALSE(rejection("t", std::nullopt));
  EXPECT_FALSE(rejection("t2", digest_of("a")));

  write([&](Writer& w) { return reject(w, key("k"), std::nullopt, "bad image", 6); });
  write([&](Writer& w) { return reject(w, key("k"), std::nullopt, "bad image again", 7); });
  EXPECT_EQ(rejection("t", std::nullopt)->reason, "bad image again");
  write([&](Writer& w) { return lift_rejections(w, key("k")); });
  EXPECT_FALSE(rejection("t", std::nullopt));
  EXPECT_FALSE(rejection("t", digest_of("a")));
}

TEST_F(Versions, PruningTakesTheOldestThatNobodyLists) {
  write([&](Writer& w) { return put_object(w, {.store = far_, .key = "k0", .change_token = "t"}); });
  for (const char* name : {"k0", "k1", "k2", "k3"})
    write([&](Writer& w) { return settle_tag(w, key(name), name); });
  write([&](Writer& w) { return start_fill(w, {.version = key("k1")}); });
  EXPECT_EQ(write([](Writer& w) { return prune_versions(w, 4); }), 0);
  EXPECT_EQ(write([](Writer& w) { return prune_versions(w, 3); }), 1);
  EXPECT_TRUE(read([&](Reader& r) { return find_version(r, key("k0")); }));
  EXPECT_TRUE(read([&](Reader& r) { return find_version(r, key("k1")); }));
  EXPECT_FALSE(read([&](Reader& r) { return find_version(r, key("k2")); }));
  EXPECT_TRUE(read([&](Reader& r) { return find_version(r, key("k3")); }));
}

TEST_F(Versions, OpenFillsComeBackAfterARestartAndIdsAreNeverUsedTwice) {
  const Fill fill{
      .version = key("k"), .generation = 2, .expected_digest = digest_of("a"), .size = 9, .started_ms = 4};
  const std::int64_t first = write([&](Writer& w) { return start_fill(w, fill); });
  db_.reset();
  db_ = open_or_die(dir_ / "state.db");
  const auto open = read([](Reader& r) { return open_fills(r); });
  ASSERT_THAT(open, SizeIs(1));
  EXPECT_EQ(open[0].id, first);
  EXPECT_EQ(open[0].version.key, "k");
  EXPECT_EQ(open[0].generation, 2);
  EXPECT_EQ(open[0].expected_digest, digest_of("a"));
  EXPECT_EQ(open[0].size, 9U);

  const auto again = db_->write_sync([&](Writer& w) { return start_fill(w, fill); });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::busy);
  write([&](Writer& w) { return end_fill(w, first); });
  write([&](Writer& w) { return end_fill(w, first); });
  EXPECT_THAT(read([](Reader& r) { return open_fills(r); }), IsEmpty());
  EXPECT_GT(write([&](Writer& w) { return start_fill(w, fill); }), first);
}

}  // namespace
}  // namespace otagate::state
