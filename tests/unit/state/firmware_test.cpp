#include "state/firmware.hpp"

#include <gmock/gmock.h>
#include <time.h>

#include "state/blobs.hpp"
#include "state/objects.hpp"
#include "unit/state/support.hpp"

namespace otagate::state {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class FirmwareTest : public StateTest {
 protected:
  struct Row {
    std::string name;
    std::string version;
    std::string type;
    std::optional<Digest> digest = std::nullopt;
    std::int64_t sequence = 0;
  };

  // An object and its firmware; returns the firmware with its ids.
  Firmware add(std::int64_t store, const Row& row) {
    const std::string key = row.name + "-" + row.version + "-" + row.type + "-" + std::to_string(++keys_);
    return write([&](Writer& w) -> Result<Firmware> {
      auto object = put_object(w, {.store = store, .key = key, .change_token = "t", .size = 10});
      if (!object) return fail(object.error());
      Firmware firmware{.object = *object,
                        .store = store,
                        .name = row.name,
                        .version = row.version,
                        .type = row.type,
                        .expected_digest = row.digest,
                        .sequence = row.sequence};
      auto id = put_firmware(w, firmware);
      if (!id) return fail(id.error());
      firmware.id = *id;
      firmware.key = key;
      return firmware;
    });
  }

  std::vector<std::int64_t> ids(const std::vector<Firmware>& list) {
    std::vector<std::int64_t> numbers;
    for (const Firmware& item : list) numbers.push_back(item.id);
    return numbers;
  }
  std::vector<Firmware> resolved(std::string_view name, std::string_view version,
                                 std::optional<std::string_view> type = std::nullopt) {
    return read([&](Reader& r) { return resolve(r, name, version, type); });
  }
  CatalogPage page(const CatalogQuery& query) {
    return read([&](Reader& r) { return page_catalog(r, query); });
  }
  // All pages of one item each, which is where cursors go wrong.
  std::vector<std::string> crawl(CatalogQuery query, std::size_t limit = 1) {
    std::vector<std::string> lines;
    query.limit = limit;
    do {
      const CatalogPage part = page(query);
      for (const Firmware& item : part.items)
        lines.push_back(item.name + " " + item.version + " " + item.type + " " + item.store_name);
      query.after.reset();
      if (part.next) query.after = CatalogCursor::decode(part.next->encode());
    } while (query.after);
    return lines;
  }

  int keys_ = 0;
};

TEST_F(FirmwareTest, WinnerIsOfTheStoreWithPriorityThenTheNewestInIt) {
  add(far_, {"fw", "1.0.0", "a", std::nullopt, 900});
  add(near_, {"fw", "1.0.0", "a", std::nullopt, 1});
  const Firmware newest = add(near_, {"fw", "1.0.0", "a", std::nullopt, 2});
  const auto found = resolved("fw", "1.0.0");
  EXPECT_THAT(ids(found), ElementsAre(newest.id));
  EXPECT_EQ(found[0].store_name, "near");
  EXPECT_EQ(found[0].key, newest.key);
  EXPECT_EQ(found[0].change_token, "t");
  EXPECT_EQ(found[0].size, std::nullopt);
}

TEST_F(FirmwareTest, SeveralTypesAreTheCallersChoice) {
  const Firmware b = add(far_, {"fw", "1.0.0", "b"});
  const Firmware a = add(near_, {"fw", "1.0.0", "a"});
  add(far_, {"fw", "1.0.0", "a"});
  add(far_, {"fw", "2.0.0", "a"});
  EXPECT_THAT(ids(resolved("fw", "1.0.0")), ElementsAre(a.id, b.id));
  EXPECT_THAT(ids(resolved("fw", "1.0.0", "b")), ElementsAre(b.id));
  EXPECT_THAT(resolved("fw", "1.0.0", "c"), IsEmpty());
  EXPECT_THAT(resolved("fw", "3.0.0"), IsEmpty());
}

TEST_F(FirmwareTest, StoreThatLeftTheConfigServesNothing) {
  add(near_, {"fw", "1.0.0", "a"});
  const Firmware far = add(far_, {"fw", "1.0.0", "a"});
  const StoreConfig configs[] = {{"far", "s3", 0}};
  write([&](Writer& w) { return set_stores(w, configs); });
  EXPECT_THAT(ids(resolved("fw", "1.0.0")), ElementsAre(far.id));
  const auto items = page({}).items;
  ASSERT_THAT(items, SizeIs(1));
  EXPECT_FALSE(items[0].shadowed);
}

TEST_F(FirmwareTest, CatalogComesInOrderByPages) {
  add(far_, {"b", "1", "x"});
  add(far_, {"a", "2", "x"});
  add(far_, {"a", "1", "y"});
  add(near_, {"a", "1", "x"});
  add(far_, {"a", "1", "x"});
  const auto all = {"a 1 x near", "a 1 x far", "a 1 y far", "a 2 x far", "b 1 x far"};
  for (const std::size_t limit : {1, 2, 3, 5, 100})
    EXPECT_THAT(crawl({}, limit), testing::ElementsAreArray(all));
  EXPECT_THAT(crawl({.name = "a"}), ElementsAre("a 1 x near", "a 1 x far", "a 1 y far", "a 2 x far"));
  EXPECT_THAT(crawl({.type = "y"}), ElementsAre("a 1 y far"));
  EXPECT_THAT(crawl({.store = "near"}), ElementsAre("a 1 x near"));
  EXPECT_THAT(crawl({.name = "a", .type = "x", .store = "far"}), ElementsAre("a 1 x far", "a 2 x far"));
  EXPECT_THAT(crawl({.winners_only = true}),
              ElementsAre("a 1 x near", "a 1 y far", "a 2 x far", "b 1 x far"));
  EXPECT_THAT(crawl({.name = "none"}), IsEmpty());
}

TEST_F(FirmwareTest, CatalogShowsShadowsAndConflicts) {
  add(near_, {"same", "1", "x", digest_of("s")});
  add(far_, {"same", "1", "x", digest_of("s")});
  add(near_, {"torn", "1", "x", digest_of("one")});
  add(far_, {"torn", "1", "x", digest_of("two")});
  add(near_, {"unknown", "1", "x", digest_of("one")});
  add(far_, {"unknown", "1", "x"});
  std::vector<std::string> flags;
  for (const Firmware& item : page({}).items)
    flags.push_back(item.name + (item.shadowed ? " shadowed" : "") + (item.conflict ? " conflict" : ""));
  EXPECT_THAT(flags, ElementsAre("same", "same shadowed", "torn conflict", "torn shadowed conflict",
                                 "unknown", "unknown shadowed"));
  const auto rows = read([](Reader& r) { return firmware_of_triple(r, "torn", "1", "x"); });
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].store_name, "near");
}

TEST_F(FirmwareTest, FillGivesTheBlobAndEvictionTakesOnlyTheCachedMark) {
  const Firmware item = add(far_, {"fw", "1", "x"});
  const Digest digest = digest_of("bytes");
  write([&](Writer& w) -> Result<void> {
    if (auto put = put_blob(w, {.digest = digest, .size = 5}); !put) return put;
    return set_blob(w, item.object, digest, 5, Verified::format);
  });
  auto found = resolved("fw", "1").at(0);
  EXPECT_EQ(found.blob, digest);
  EXPECT_EQ(found.size, 5U);
  EXPECT_EQ(found.verified, Verified::format);
  EXPECT_TRUE(found.cached);
  EXPECT_THAT(ids(read([&](Reader& r) { return firmware_of_digest(r, digest); })), ElementsAre(item.id));

  write([&](Writer& w) { return quarantine_blob(w, digest, "bad byte"); });
  EXPECT_FALSE(resolved("fw", "1").at(0).cached);
  write([&](Writer& w) { return delete_blob(w, digest); });
  found = resolved("fw", "1").at(0);
  EXPECT_FALSE(found.cached);
  EXPECT_EQ(found.blob, digest);
}

TEST_F(FirmwareTest, DigestIsFoundByExpectationBeforeTheFill) {
  const Firmware item = add(far_, {"fw", "1", "x", digest_of("promised")});
  EXPECT_THAT(ids(read([](Reader& r) { return firmware_of_digest(r, digest_of("promised")); })),
              ElementsAre(item.id));
  EXPECT_THAT(read([](Reader& r) { return firmware_of_digest(r, digest_of("other")); }), IsEmpty());
}

TEST_F(FirmwareTest, ObjectThatChangedItsMindKeepsOnlyTheNewRows) {
  Firmware item = add(far_, {"fw", "1", "x"});
  const std::int64_t old_id = item.id;
  item.version = "2";
  item.kind = "patch";
  item.dependency = "1";
  write([&](Writer& w) -> Result<void> {
    auto id = put_firmware(w, item);
    if (!id) return fail(id.error());
    const std::int64_t keep[] = {*id};
    return keep_firmware(w, item.object, keep);
  });
  EXPECT_FALSE(read([&](Reader& r) { return get_firmware(r, old_id); }));
  const auto rows = read([&](Reader& r) { return firmware_of_object(r, item.object); });
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].kind, "patch");
  EXPECT_EQ(rows[0].dependency, "1");
}

TEST(CatalogCursorText, SurvivesAnyNameAndRefusesNonsense) {
  const CatalogCursor cursor{std::string("a.b\0\xff", 5), "", "t/1", 3, 9};
  const auto back = CatalogCursor::decode(cursor.encode());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name, cursor.name);
  EXPECT_EQ(back->version, "");
  EXPECT_EQ(back->type, "t/1");
  EXPECT_EQ(back->store, 3);
  EXPECT_EQ(back->id, 9);
  for (const char* text : {"", ".", "....", "61.61.61.1", "61.61.61.1.x", "6.61.61.1.1", "zz.61.61.1.1",
                           "61.61.61.-1.1", "61.61.61.1.1.1", "61.61.61.99999999999999999999.1"})
    EXPECT_FALSE(CatalogCursor::decode(text)) << text;
  EXPECT_FALSE(CatalogCursor::decode(std::string(10'000, '6') + ".61.61.1.1"));
}

double thread_cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1000 + static_cast<double>(now.tv_nsec) / 1e6;
}

// A filter that matches next to nothing passes over the whole catalog. The time of one read is 100 ms; a
// quarter of it leaves room for hardware that is four times slower. Processor time: the machine may be busy.
TEST_F(FirmwareTest, FilterOverALargeCatalogFitsIntoOneRead) {
  write([&](Writer& w) -> Result<void> {
    for (int i = 0; i < scaled(100'000); ++i) {
      const std::string name = "fw" + std::to_string(i);
      auto object = put_object(w, {.store = far_, .key = name, .change_token = "t"});
      if (!object) return fail(object.error());
      auto id =
          put_firmware(w, {.object = *object, .store = far_, .name = name, .version = "1", .type = "x"});
      if (!id) return fail(id.error());
    }
    return {};
  });
  add(near_, {"zz", "1", "rare"});
  for (const CatalogQuery& query :
       {CatalogQuery{.type = "rare"}, CatalogQuery{.store = "near"}, CatalogQuery{.name = "zz"}}) {
    double took = 0;
    const CatalogPage found = read([&](Reader& r) {
      const double start = thread_cpu_ms();
      auto result = page_catalog(r, query);
      took = thread_cpu_ms() - start;
      return result;
    });
    EXPECT_THAT(found.items, SizeIs(1));
    if (!kSanitized) {
      EXPECT_LT(took, 25);
    }
  }
}

}  // namespace
}  // namespace otagate::state
