#include "state/stores.hpp"

#include <gmock/gmock.h>

#include "state/firmware.hpp"
#include "state/objects.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using Stores = StateTest;

TEST_F(Stores, FollowTheConfigAndKeepTheirIdentity) {
  const StoreConfig configs[] = {{"far", "s3", 5}, {"new", "directory", 1}};
  const auto stores = write([&](Writer& w) { return set_stores(w, configs); });
  ASSERT_EQ(stores.size(), 2U);
  EXPECT_EQ(stores[0].id, far_);
  EXPECT_EQ(stores[0].priority, 5);
  EXPECT_EQ(stores[1].name, "new");

  const auto configured = read([](Reader& r) { return configured_stores(r); });
  ASSERT_EQ(configured.size(), 2U);
  const auto gone = read([](Reader& r) { return find_store(r, "near"); });
  ASSERT_TRUE(gone);
  EXPECT_FALSE(gone->configured);
  EXPECT_EQ(gone->id, near_);
}

TEST_F(Stores, RememberWhereTheSyncStands) {
  write([&](Writer& w) { return save_list_cursor(w, far_, "page 7"); });
  write([&](Writer& w) { return fail_sync(w, far_, 1000, "403 from the bucket"); });
  auto store = *read([](Reader& r) { return find_store(r, "far"); });
  EXPECT_EQ(store.list_cursor, "page 7");
  EXPECT_EQ(store.last_error, "403 from the bucket");
  EXPECT_EQ(store.last_sync_ms, 1000);
  EXPECT_EQ(store.last_ok_ms, 0);

  EXPECT_EQ(write([&](Writer& w) { return finish_sync(w, far_, 2000); }), 1);
  EXPECT_EQ(write([&](Writer& w) { return finish_sync(w, far_, 3000); }), 2);
  store = *read([](Reader& r) { return find_store(r, "far"); });
  EXPECT_EQ(store.list_cursor, "");
  EXPECT_EQ(store.last_error, std::nullopt);
  EXPECT_EQ(store.last_ok_ms, 3000);
}

TEST_F(Stores, AddUpTheirTraffic) {
  write([&](Writer& w) { return add_store_traffic(w, near_, 3, 5'000'000'000); });
  write([&](Writer& w) { return add_store_traffic(w, near_, 1, 1); });
  const auto store = *read([](Reader& r) { return find_store(r, "near"); });
  EXPECT_EQ(store.requests, 4U);
  EXPECT_EQ(store.body_bytes, 5'000'000'001U);
}

TEST_F(Stores, ObjectsOfOneThatIsNoLongerConfiguredGoInTheEnd) {
  const auto add = [&](std::int64_t store, const char* key) {
    const std::int64_t id =
        write([&](Writer& w) { return put_object(w, {.store = store, .key = key, .change_token = "1"}); });
    write([&](Writer& w) {
      return put_firmware(w, {.object = id, .store = store, .name = key, .version = "1"});
    });
  };
  for (const char* key : {"a", "b", "c"}) add(near_, key);
  add(far_, "d");
  write([&](Writer& w) { return finish_sync(w, near_, 1000); });
  write([&](Writer& w) { return finish_sync(w, far_, 1000); });
  const StoreConfig configs[] = {{"far", "s3", 5}};
  write([&](Writer& w) { return set_stores(w, configs); });
  EXPECT_EQ(write([&](Writer& w) { return prune_unconfigured(w, 1000, 10); }), 0);  // not old enough
  EXPECT_EQ(write([&](Writer& w) { return prune_unconfigured(w, 1001, 2); }), 2);
  EXPECT_EQ(write([&](Writer& w) { return prune_unconfigured(w, 1001, 2); }), 1);
  EXPECT_EQ(write([&](Writer& w) { return prune_unconfigured(w, 1001, 2); }), 0);
  EXPECT_EQ(read([&](Reader& r) { return page_objects(r, far_, "", 10); }).size(), 1U);
  EXPECT_TRUE(read([&](Reader& r) { return page_objects(r, near_, "", 10); }).empty());
  EXPECT_FALSE(read([&](Reader& r) { return get_firmware(r, 1); }));
}

}  // namespace
}  // namespace otagate::state
