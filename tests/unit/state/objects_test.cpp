#include "state/objects.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <string>

#include "state/firmware.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Objects : public StateTest {
 protected:
  Object object(std::string key, std::string token = "t1") const {
    return {.store = far_, .key = std::move(key), .change_token = std::move(token), .size = 100};
  }
  std::int64_t put(const Object& item) {
    return write([&](Writer& w) { return put_object(w, item); });
  }
};

TEST_F(Objects, KeepEveryFieldOfAnyKey) {
  Object item = object(std::string("a b/c+d%/\xc3\xbc\0.bin", 15));
  item.size = std::nullopt;
  item.flags = 0xffffffff;
  item.digest = digest_of("x");
  item.modified_ms = -5;
  item.metadata = "name=x";
  item.skipped = "no version in its name";
  item.id = put(item);
  const auto found = read([&](Reader& r) { return find_object(r, far_, item.key); });
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, item.id);
  EXPECT_EQ(found->key, item.key);
  EXPECT_EQ(found->size, std::nullopt);
  EXPECT_EQ(found->flags, 0xffffffffU);
  EXPECT_EQ(found->digest, digest_of("x"));
  EXPECT_EQ(found->modified_ms, -5);
  EXPECT_EQ(found->metadata, "name=x");
  EXPECT_EQ(found->skipped, item.skipped);
  EXPECT_FALSE(read([&](Reader& r) { return find_object(r, near_, item.key); }));
}

TEST_F(Objects, KeepTheirIdWhenTheyChange) {
  const std::int64_t id = put(object("k", "t1"));
  EXPECT_EQ(put(object("k", "t2")), id);
  EXPECT_EQ(read([&](Reader& r) { return get_object(r, id); })->change_token, "t2");
}

TEST_F(Objects, AreFoundInTheOrderAskedFor) {
  put(object("b"));
  put(object("a"));
  const std::string keys[] = {"a", "missing", "b"};
  const auto found = read([&](Reader& r) { return find_objects(r, far_, keys); });
  ASSERT_THAT(found, SizeIs(3));
  EXPECT_EQ(found[0]->key, "a");
  EXPECT_FALSE(found[1]);
  EXPECT_EQ(found[2]->key, "b");
}

TEST_F(Objects, ArePagedAndCounted) {
  for (const char* key : {"c", "a", "d", "b"}) {
    Object item = object(key);
    if (item.key == "d") item.skipped = "why";
    put(item);
  }
  Object other = object("z");
  other.store = near_;
  put(other);
  const auto keys = [&](std::string_view after, std::size_t limit, bool skipped) {
    std::vector<std::string> list;
    for (const Object& item : read([&](Reader& r) { return page_objects(r, far_, after, limit, skipped); }))
      list.push_back(item.key);
    return list;
  };
  EXPECT_THAT(keys("", 3, false), ElementsAre("a", "b", "c"));
  EXPECT_THAT(keys("c", 3, false), ElementsAre("d"));
  EXPECT_THAT(keys("", 3, true), ElementsAre("d"));
  const auto count = [&](std::string_view after, std::size_t limit, bool skipped) {
    return read([&](Reader& r) { return count_objects(r, far_, after, limit, skipped); });
  };
  EXPECT_EQ(count("", 10, false).count, 4U);
  EXPECT_FALSE(count("", 10, false).next);
  EXPECT_EQ(count("", 3, false).count, 3U);
  EXPECT_EQ(count("", 3, false).next, "c");
  EXPECT_EQ(count("c", 3, false).count, 1U);
  EXPECT_EQ(count("", 10, true).count, 1U);
  EXPECT_EQ(count("d", 10, true).count, 0U);
}

TEST_F(Objects, AreFoundByPrefix) {
  std::map<std::string, std::int64_t> ids;
  for (const char* key : {"a/w.bin", "a/x", "a/x.bin", "a/x.json", "a/x2.bin", "a/y.bin"})
    ids[key] = put(object(key));
  std::vector<std::string> offered;
  const auto found = read([&](Reader& r) {
    offered.clear();
    return find_by_prefix(r, far_, "a/x", 10, [&](std::string_view key) {
      offered.emplace_back(key);
      return key.ends_with(".bin");
    });
  });
  EXPECT_THAT(offered, ElementsAre("a/x", "a/x.bin", "a/x.json", "a/x2.bin"));
  EXPECT_THAT(found, ElementsAre(ids["a/x.bin"], ids["a/x2.bin"]));
  const auto first = read(
      [&](Reader& r) { return find_by_prefix(r, far_, "a/x", 2, [](std::string_view) { return true; }); });
  EXPECT_THAT(first, ElementsAre(ids["a/x"], ids["a/x.bin"]));
}

TEST_F(Objects, UncachedFirmwareIsPagedByRowsLookedAt) {
  const std::int64_t mine = put(object("k"));
  Object other = object("k");
  other.store = near_;
  const std::int64_t theirs = put(other);
  std::vector<std::int64_t> ids;
  const auto add = [&](std::int64_t of, std::int64_t store, const char* version) {
    ids.push_back(write([&](Writer& w) {
      return put_firmware(w, {.object = of, .store = store, .name = "n", .version = version, .size = 7});
    }));
  };
  add(mine, far_, "1");
  add(theirs, near_, "2");
  add(mine, far_, "3");
  const auto page = [&](std::int64_t after, std::size_t limit) {
    return read([&](Reader& r) { return page_uncached(r, far_, after, limit); });
  };
  const UncachedPage first = page(0, 2);
  ASSERT_THAT(first.items, SizeIs(1));
  EXPECT_EQ(first.items[0].id, ids[0]);
  EXPECT_EQ(first.items[0].size, 7U);
  EXPECT_EQ(first.next, ids[1]);
  const UncachedPage second = page(*first.next, 2);
  ASSERT_THAT(second.items, SizeIs(1));
  EXPECT_EQ(second.items[0].id, ids[2]);
  EXPECT_FALSE(second.next);
}

TEST_F(Objects, DeletedOnesTakeTheirFirmwareAlong) {
  const std::int64_t id = put(object("k"));
  write([&](Writer& w) {
    return put_firmware(w, {.object = id, .store = far_, .name = "n", .version = "1", .type = "t"});
  });
  write([&](Writer& w) { return delete_object(w, id); });
  EXPECT_THAT(read([&](Reader& r) { return resolve(r, "n", "1", std::nullopt); }), IsEmpty());
}

TEST_F(Objects, EmptyKeyIsRefused) {
  EXPECT_FALSE(db_->write_sync([&](Writer& w) { return put_object(w, object("")); }));
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "VmRSS:") break;
  std::size_t kib = 0;
  status >> kib;
  return kib;
}

// The shape of a sync: pages of keys looked up, seen ids kept, the vanished deleted at the end.
TEST_F(Objects, HundredThousandSyncWithoutAWriteAndInLittleMemory) {
  const int objects = scaled(100'000) / 1000 * 1000;
  constexpr int kPage = 1000;
  const auto key = [](int i) { return "firmware/releases/device-" + std::to_string(i) + "/image-1.2.3.bin"; };
  const std::size_t memory_before = resident_kib();
  for (int first = 0; first < objects; first += kPage)
    write([&](Writer& w) -> Result<void> {
      for (int i = first; i < first + kPage; ++i)
        if (auto id = put_object(w, object(key(i))); !id) return fail(id.error());
      return {};
    });

  const std::uint64_t commits_before = db_->stats().commits;
  SeenIds seen;
  for (int first = 0; first < objects; first += kPage) {
    std::vector<std::string> keys;
    for (int i = first; i < first + kPage; ++i)
      if (i % 1000 != 7) keys.push_back(key(i));  // one in a thousand has gone
    for (const auto& item : read([&](Reader& r) { return find_objects(r, far_, keys); })) {
      ASSERT_TRUE(item);
      seen.add(item->id);
    }
  }
  std::vector<std::string> vanished;
  std::optional<std::string> after = "";
  while (after) {
    auto page = read([&](Reader& r) { return page_vanished(r, far_, *after, seen); });
    for (const Object& item : page.objects) vanished.push_back(item.key);
    after = page.next;
  }
  EXPECT_EQ(vanished.size(), static_cast<std::size_t>(objects / 1000));
  EXPECT_THAT(vanished, testing::Contains(key(objects - 1000 + 7)));
  EXPECT_EQ(db_->stats().commits, commits_before);
  if (!kSanitized) {
    EXPECT_LT(resident_kib(), memory_before + 20 * 1024);
  }
}

}  // namespace
}  // namespace otagate::state
