// Blobs that are in the cache: opened, hashed again, found bad, found on disk.
#include <sys/time.h>

#include "cache/core.hpp"
#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class CachedTest : public CacheTest {
 protected:
  void fill(std::size_t size = 2 * kMiB) {
    content = make_bytes(size, 42);
    digest = digest_of(content);
    store = std::make_unique<FakeStore>(content);
    start();
    ASSERT_TRUE(fetch(*store, digest));
  }
  // An open that may fetch again.
  OpenRequest again() { return request(*store, digest); }
  OpenRequest cached_only() {
    OpenRequest wish;
    wish.digest = digest;
    return wish;
  }

  Bytes content;
  Digest digest;
  std::unique_ptr<FakeStore> store;
};

TEST_F(CachedTest, OpensAtOnceAfterACleanStop) {
  fill();
  restart();
  const auto reader = cache->open_cached(digest);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ((*reader)->state(), PageState::verified);
  EXPECT_EQ((*reader)->ready(0), content.size());
  EXPECT_EQ(contents(reader), content);
  EXPECT_EQ(cache->stats().hits, 1u);
  EXPECT_EQ(host.count(Event::Kind::blob_verified), 0u);
}

TEST_F(CachedTest, ReadersShareOneDescriptorAndPage) {
  fill();
  const auto one = cache->open_cached(digest);
  const auto two = cache->open_cached(digest);
  ASSERT_TRUE(one && two);
  EXPECT_EQ((*one)->fd(), (*two)->fd());
  EXPECT_EQ((*one)->slot(), (*two)->slot());
  EXPECT_EQ((*one)->generation(), (*two)->generation());
  EXPECT_EQ(::fcntl((*one)->fd(), F_GETFL) & O_ACCMODE, O_RDONLY);
  // As another process sees it.
  Page copy;
  static_assert(sizeof copy == 64);
  std::array<std::byte, 64> raw{};
  ASSERT_EQ(::pread(cache->page_fd(), raw.data(), 64, static_cast<off_t>((*one)->slot()) * 64), 64);
  std::uint64_t ready = 0;
  std::uint64_t total = 0;
  std::memcpy(&ready, raw.data() + 16, 8);
  std::memcpy(&total, raw.data() + 24, 8);
  EXPECT_EQ(ready, content.size());
  EXPECT_EQ(total, content.size());
  EXPECT_LT(::pwrite(cache->page_fd(), raw.data(), 64, 0), 0) << "read-only";
}

TEST_F(CachedTest, AfterAnUncleanStopTheTailComesLast) {
  fill();
  restart_uncleanly();
  EXPECT_TRUE(cache->blob(digest)->needs_verification);
  auto wish = cached_only();
  wish.streaming = false;
  auto verified = open_later(wish);
  const auto reader = cache->open_cached(digest);
  ASSERT_TRUE(reader);
  EXPECT_GE((*reader)->ready(0), content.size() - kTailSize) << "served at once";
  ASSERT_TRUE(want(*reader, content.size() - 1, 1));
  EXPECT_EQ((*reader)->state(), PageState::verified);
  EXPECT_EQ(contents(reader), content);
  ASSERT_TRUE(verified.get());
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_verified));
  EXPECT_FALSE(cache->blob(digest)->needs_verification);
}

TEST_F(CachedTest, ATouchedBlobIsHashedAgainAndGood) {
  fill();
  stop();
  const timeval times[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(::utimes(blob_path(digest).c_str(), times), 0);
  start();
  const auto reader = cache->open_cached(digest);
  ASSERT_TRUE(reader);
  EXPECT_EQ(contents(reader), content);
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_verified));
  EXPECT_EQ(host.count(Event::Kind::blob_quarantined), 0u);
}

TEST_F(CachedTest, AFlippedByteIsNeverDeliveredComplete) {
  fill();
  restart();
  flip_in_file(blob_path(digest), 12'345);
  auto wish = cached_only();
  wish.peer = "dev-1";
  const auto reader = must_open(wish);
  const auto all = read_all(reader);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code(), Code::rejected);
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_quarantined));
  EXPECT_TRUE(cache->had_rejected_bytes("dev-1", key_of(*store, digest)));
  EXPECT_FALSE(cache->has(digest));
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(blob_path(digest)); }));
  EXPECT_FALSE(std::filesystem::is_empty(options.root / "quarantine"));
  // The next open fetches it again.
  const auto good = must_open(again());
  EXPECT_EQ(contents(good), content);
  EXPECT_EQ(store->sent(), 2 * content.size());
}

TEST_F(CachedTest, ANonStreamingOpenOfABadBlobRefetches) {
  fill();
  restart_uncleanly();
  flip_in_file(blob_path(digest), content.size() - 1);
  const auto reader = fetch(*store, digest);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(contents(reader), content);
  EXPECT_EQ(host.count(Event::Kind::blob_quarantined), 1u);
}

TEST_F(CachedTest, AChangeUnderAnOpenReaderCutsIt) {
  fill();
  const auto reader = cache->open_cached(digest);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->state(), PageState::verified);
  flip_in_file(blob_path(digest), 5);
  EXPECT_TRUE(eventually([&] { return (*reader)->state() == PageState::failed; }));
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_quarantined));
}

TEST_F(CachedTest, ATruncatedBlobIsQuarantinedAndRefetched) {
  fill();
  restart();
  ASSERT_EQ(::truncate(blob_path(digest).c_str(), 1000), 0);
  EXPECT_FALSE(cache->open_cached(digest));
  const auto reader = must_open(again());
  EXPECT_EQ(contents(reader), content);
  EXPECT_EQ(host.count(Event::Kind::blob_quarantined), 1u);
}

TEST_F(CachedTest, AReadErrorReportedByAReaderTouchesNobodyElse) {
  fill();
  const Bytes other_content = make_bytes(100'000, 5);
  FakeStore other_store(other_content);
  const auto other = fetch(other_store, digest_of(other_content), "other");
  ASSERT_TRUE(other);
  const auto reader = cache->open_cached(digest);
  ASSERT_TRUE(reader);
  cache->report_bad(*reader, Error(Code::transient, "sendfile: Input/output error"));
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_quarantined));
  EXPECT_EQ((*reader)->state(), PageState::failed);
  EXPECT_EQ((*other)->state(), PageState::verified);
  EXPECT_EQ(contents(other), other_content);
  EXPECT_EQ(contents(must_open(again())), content);
}

TEST_F(CachedTest, VerifyOnDemand) {
  fill();
  EXPECT_TRUE(done_of([&](auto done) { cache->verify(digest, done); }));
  flip_in_file(blob_path(digest), 77);
  const auto bad = done_of([&](auto done) { cache->verify(digest, done); });
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::rejected);
  EXPECT_EQ(done_of([&](auto done) { cache->verify(digest, done); }).error().code(), Code::not_found);
}

TEST_F(CachedTest, TheScrubFindsRot) {
  options.maintenance_period = 10ms;
  options.limits.scrub_interval = 0s;
  options.limits.scrub_bytes_per_second = 1 << 30;
  fill();
  ASSERT_TRUE(eventually([&] { return cache->stats().scrubbed >= 2; }));
  // Rot under the file system leaves no trace in its times: pretend by telling the cache so.
  flip_in_file(blob_path(digest), 4711);
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_quarantined));
}

TEST_F(CachedTest, BlobsTheJournalLostAreAdopted) {
  fill();
  stop();
  auto created = Cache::create(options, {&host, &host, &host});  // known nothing
  ASSERT_TRUE(created);
  cache = std::move(*created);
  auto wish = cached_only();
  wish.streaming = false;
  const auto reader = open(wish);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(contents(reader), content);
  EXPECT_TRUE(host.wait_for(Event::Kind::blob_adopted));
  EXPECT_EQ(store->sent(), content.size()) << "not fetched again";
}

TEST_F(CachedTest, ReconcileComparesJournalAndDisk) {
  fill();
  const Bytes lost = make_bytes(10'000, 8);
  FakeStore lost_store(lost);
  ASSERT_TRUE(fetch(lost_store, {}, "lost"));
  stop();
  options.known = host.records();
  std::erase_if(options.known, [&](const BlobRecord& record) { return record.digest == digest; });
  std::filesystem::remove(blob_path(digest_of(lost)));
  const Digest liar = digest_of(make_bytes(3));
  std::filesystem::create_directories(blob_path(liar).parent_path());
  std::ofstream(blob_path(liar)) << "not those bytes";
  std::ofstream(options.root / "blobs" / "sha256" / "ab-stray");
  std::filesystem::create_directories(options.root / "blobs" / "sha256" / "ff");
  std::ofstream(options.root / "blobs" / "sha256" / "ff" / "stray");
  std::ofstream(options.root / "fills" / "0123.part");
  std::ofstream(options.root / "fills" / "0124.map");
  auto created = Cache::create(options, {&host, &host, &host});
  ASSERT_TRUE(created);
  cache = std::move(*created);
  ASSERT_TRUE(done_of([&](auto done) { cache->reconcile(done); }));
  EXPECT_TRUE(cache->has(digest)) << "adopted";
  EXPECT_EQ(host.count(Event::Kind::blob_adopted), 1u);
  EXPECT_FALSE(cache->has(digest_of(lost)));
  EXPECT_EQ(host.count(Event::Kind::blob_lost), 1u);
  EXPECT_FALSE(cache->has(liar));
  EXPECT_EQ(host.count(Event::Kind::blob_quarantined), 1u);
  EXPECT_TRUE(eventually([&] {
    return std::filesystem::is_empty(options.root / "fills") &&
           !std::filesystem::exists(options.root / "blobs" / "sha256" / "ff" / "stray");
  }));
}

TEST_F(CachedTest, ABrokenJournalKeepsNobodyFromTheBlob) {
  host.broken = true;
  fill();
  EXPECT_EQ(contents(cache->open_cached(digest)), content);
}

TEST_F(CachedTest, OneCachePerFolder) {
  fill();
  const auto second = Cache::create(options, {&host, &host, &host});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::busy);
}

TEST_F(CachedTest, TenThousandOpensLeakNoPage) {
  fill(100'000);
  const auto first = (*cache->open_cached(digest))->slot();
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ((*cache->open_cached(digest))->slot(), first);
  EXPECT_EQ(cache->stats().readers, 0u);
}

}  // namespace
}  // namespace otagate::cache
