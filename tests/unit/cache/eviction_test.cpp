// What goes when room is needed, and what never goes.
#include <sys/mount.h>

#include "support.hpp"
#include "support/skip.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class EvictionTest : public CacheTest {
 protected:
  Digest add(std::uint64_t seed, std::size_t size = kMiB) {
    const Bytes content = make_bytes(size, seed);
    FakeStore store(content);
    const auto reader = fetch(store, digest_of(content), std::to_string(seed));
    EXPECT_TRUE(reader) << reader.error().message();
    return digest_of(content);
  }
  // Evicting goes on in the background for a moment.
  bool gone(const Digest& digest) {
    return eventually([&] { return !cache->has(digest) && !std::filesystem::exists(blob_path(digest)); });
  }
};

TEST_F(EvictionTest, TheLeastRecentlyUsedGoesFirst) {
  options.limits.max_size = 3 * kMiB;
  start();
  const Digest a = add(1);
  const Digest b = add(2);
  const Digest c = add(3);
  ASSERT_TRUE(cache->open_cached(a));  // a is newer than b now
  const Digest d = add(4);
  EXPECT_TRUE(gone(b));
  EXPECT_TRUE(cache->has(a) && cache->has(c) && cache->has(d));
  EXPECT_EQ(host.count(Event::Kind::blob_evicted), 1u);
  restart();
  ASSERT_TRUE(cache->open_cached(c));
  add(5);
  EXPECT_TRUE(gone(a)) << "the order of use survives a restart";
}

TEST_F(EvictionTest, PinnedAndReadBlobsStay) {
  options.limits.max_size = 3 * kMiB;
  start();
  const Digest pinned = add(1);
  cache->pin(pinned, "operator");
  cache->pin(pinned, "deployment 7");
  const Digest read = add(2);
  const auto reader = cache->open_cached(read);
  const Digest idle = add(3);
  add(4);
  EXPECT_TRUE(gone(idle));
  EXPECT_TRUE(cache->has(pinned) && cache->has(read));
  EXPECT_EQ(cache->blob(pinned)->pins, (std::vector<std::string>{"deployment 7", "operator"}));
  EXPECT_EQ(done_of([&](auto done) { cache->evict(pinned, done); }).error().code(), Code::busy);
  EXPECT_EQ(done_of([&](auto done) { cache->evict(read, done); }).error().code(), Code::busy);
  cache->unpin(pinned, "operator");
  EXPECT_EQ(done_of([&](auto done) { cache->evict(pinned, done); }).error().code(), Code::busy);
  cache->unpin(pinned, "deployment 7");
  EXPECT_TRUE(done_of([&](auto done) { cache->evict(pinned, done); }));
  EXPECT_EQ(done_of([&](auto done) { cache->evict(pinned, done); }).error().code(), Code::not_found);
}

TEST_F(EvictionTest, NothingIsSacrificedForWhatCannotFit) {
  options.limits.max_size = 3 * kMiB;
  start();
  const Digest a = add(1);
  const Digest b = add(2);
  cache->pin(b, "operator");
  FakeStore large(make_bytes(3 * kMiB, 9));
  const auto reader = fetch(large);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), Code::no_space);
  EXPECT_TRUE(host.wait_for(Event::Kind::no_space));
  EXPECT_TRUE(cache->has(a));
  FakeStore larger(make_bytes(3 * kMiB + 1, 9));
  const auto never = fetch(larger, {}, "larger");
  ASSERT_FALSE(never);
  EXPECT_NE(never.error().message().find("larger than the cache may be"), std::string::npos);
}

TEST_F(EvictionTest, TheFreeSpaceFloorHolds) {
  start();
  const Digest a = add(1);
  // 10 GiB disk: the floor is max(256 MiB, 5 %) = 512 MiB.
  free_space = (512ull << 20) + kMiB / 2;
  const Digest b = add(2, kMiB);
  EXPECT_TRUE(gone(a));
  (void)b;
  free_space = 100ull << 20;
  FakeStore store(make_bytes(10'000, 3));
  const auto reader = fetch(store);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), Code::no_space);
  EXPECT_TRUE(store.requests().empty());
  free_space = 8ull << 30;
  EXPECT_TRUE(fetch(store)) << "recovers when space returns";
}

TEST_F(EvictionTest, TheJournalForgetsBeforeTheFileGoes) {
  bool was_there = false;
  host.on_removed = [&](const Digest& digest) { was_there = std::filesystem::exists(blob_path(digest)); };
  start();
  const Digest a = add(1);
  ASSERT_TRUE(done_of([&](auto done) { cache->evict(a, done); }));
  EXPECT_TRUE(was_there);
  EXPECT_FALSE(std::filesystem::exists(blob_path(a)));
  const Digest b = add(2);
  host.broken = true;
  EXPECT_FALSE(done_of([&](auto done) { cache->evict(b, done); }));
  EXPECT_TRUE(cache->has(b) && std::filesystem::exists(blob_path(b)));
}

TEST_F(EvictionTest, AnEvictedBlobComesBack) {
  start();
  for (int i = 0; i < scaled(200); ++i) {
    const Bytes content = make_bytes(50'000, 77);
    FakeStore store(content);
    // The fill may end while the old file is being removed.
    auto evicted = std::make_shared<std::promise<void>>();
    cache->evict(digest_of(content), [evicted](const Result<void>&) { evicted->set_value(); });
    auto reader = fetch(store, {}, "x");
    ASSERT_TRUE(reader) << reader.error().message();
    ASSERT_EQ(contents(reader), content);
    evicted->get_future().wait();
    reader->reset();
  }
}

TEST_F(EvictionTest, AgeEvictsOnlyByATrustedClockAndAListedStore) {
  struct Clock {
    std::atomic<std::int64_t> now{1'000'000'000};
    std::atomic<bool> synchronised{false};
  };
  const auto clock = std::make_shared<Clock>();  // the cache outlives this function if it fails
  auto& now = clock->now;
  auto& synchronised = clock->synchronised;
  options.environment.wall_ms = [clock] { return clock->now.load(); };
  options.environment.clock_synchronised = [clock] { return clock->synchronised.load(); };
  options.maintenance_period = 10ms;
  options.limits.ttl = 3600s;
  host.store_listed = false;
  start();
  const Digest a = add(1);
  now += 10 * 3600 * 1000;
  std::this_thread::sleep_for(100ms);  // for the eviction that must not come
  EXPECT_TRUE(cache->has(a)) << "the clock is not synchronised";
  synchronised = true;
  ASSERT_TRUE(eventually([&] { return cache->blob(a)->last_used_ms == now.load(); }))
      << "age counts from here";
  now += 4 * 3600 * 1000;
  std::this_thread::sleep_for(100ms);  // for the eviction that must not come
  EXPECT_TRUE(cache->has(a)) << "its store could not be asked for it again";
  host.store_listed = true;
  EXPECT_TRUE(gone(a));
}

TEST_F(EvictionTest, LoweredLimitsTakeEffect) {
  start();
  const Digest a = add(1);
  const Digest b = add(2);
  Limits limits;
  limits.max_size = kMiB + kMiB / 2;
  cache->set_limits(limits);
  EXPECT_TRUE(gone(a));
  EXPECT_TRUE(cache->has(b));
}

TEST_F(EvictionTest, WritesHardlyMoreThanItKeeps) {
  start();
  const auto written = [] {
    std::ifstream io("/proc/self/io");
    std::string name;
    std::uint64_t value = 0;
    while (io >> name >> value)
      if (name == "wchar:") return value;
    return std::uint64_t{0};
  };
  const std::size_t size = 24 * kMiB;
  const std::uint64_t before = written();
  add(1, size);
  EXPECT_LE(static_cast<double>(written() - before), 1.1 * static_cast<double>(size));
}

class FullDiskTest : public EvictionTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) OTAGATE_SKIP("mounting a small tmpfs needs root");
    mounted = dir.path() / "small";
    std::filesystem::create_directories(mounted);
    if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=8m") != 0)
      OTAGATE_SKIP("mounting a small tmpfs: " << std::strerror(errno));
    options.root = mounted / "cache";
    options.environment.space = nullptr;  // the real one
  }
  void TearDown() override {
    cache.reset();
    if (!mounted.empty()) ::umount2(mounted.c_str(), MNT_DETACH);
  }
  std::filesystem::path mounted;
};

TEST_F(FullDiskTest, AFillFailsClearlyAndRecovers) {
  start();
  const Bytes kept_content = make_bytes(kMiB, 1);
  FakeStore kept_store(kept_content);
  const auto kept = fetch(kept_store, {}, "kept");
  ASSERT_TRUE(kept) << kept.error().message();

  // Known size: found out before a byte is fetched.
  FakeStore large(make_bytes(7 * kMiB, 2));
  const auto refused = fetch(large, {}, "large");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::no_space) << refused.error().message();
  EXPECT_TRUE(large.requests().empty());

  // Unknown size: the disk runs full under the fill.
  FakeStore endless(make_bytes(9 * kMiB, 3));
  endless.size_known = false;
  const auto full = fetch(endless, {}, "endless");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), Code::no_space) << full.error().message();
  EXPECT_TRUE(host.wait_for(Event::Kind::no_space, 2));
  EXPECT_EQ(contents(kept), kept_content) << "cached blobs are served";

  // Somebody else's file fills the disk while a fill runs, then goes.
  FakeStore middle(make_bytes(3 * kMiB, 4));
  ASSERT_TRUE(eventually([&] { return std::filesystem::is_empty(options.root / "fills"); }));
  std::ofstream(mounted / "other") << std::string(4 * kMiB, 'x');
  ASSERT_EQ(std::filesystem::file_size(mounted / "other"), 4 * kMiB);
  const auto crowded = fetch(middle, {}, "middle");
  ASSERT_FALSE(crowded);
  EXPECT_EQ(crowded.error().code(), Code::no_space);
  std::filesystem::remove(mounted / "other");
  const auto back = fetch(middle, {}, "middle");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(contents(back), make_bytes(3 * kMiB, 4));
}

}  // namespace
}  // namespace otagate::cache
