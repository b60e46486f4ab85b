// One fill and its readers: who gets what, when.
#include "cache/fill.hpp"

#include <set>

#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

TEST_F(FillTest, ServesFiftyReadersWithOneRead) {
  const Bytes content = make_bytes(3 * kMiB + 12'345);
  FakeStore store(content);
  store.bytes_per_second = 20 * kMiB;
  start();
  std::vector<ReaderPtr> readers;
  for (int i = 0; i < 50; ++i) readers.push_back(must_open(request(store)));
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (const ReaderPtr& reader : readers)
    threads.emplace_back([&, reader] {
      const auto got = read_all(reader);
      if (got && *got == content) ++right;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 50);
  expect_each_byte_once(store, content.size());
  EXPECT_EQ(store.sent(), content.size());
  EXPECT_EQ(cache->stats().coalesced, 49u);
  ASSERT_EQ(host.records().size(), 1u);
  EXPECT_EQ(host.records()[0].digest, digest_of(content));
  EXPECT_EQ(host.records()[0].level, VerifyLevel::length);
}

TEST_F(FillTest, EverySizeAroundTheEdgesIsRight) {
  std::set<std::size_t> sizes = {0, 1};
  for (const std::size_t edge :
       {kTailSize, kChunkSize, kChunkSize + kTailSize, kSegmentSize, kSegmentSize + kTailSize})
    for (const std::size_t size : {edge - 1, edge, edge + 1}) sizes.insert(size);
  start();
  for (const bool ranges : {true, false})
    for (const bool size_known : {true, false})
      for (const std::size_t size : sizes) {
        const Bytes content = make_bytes(size, size + (ranges ? 7 : 0) + (size_known ? 13 : 0) + 1000);
        FakeStore store(content);
        store.ranges = ranges;
        store.size_known = size_known;
        store.piece = 5000;
        const std::string object = std::to_string(size) + (ranges ? "r" : "") + (size_known ? "s" : "");
        const auto reader = fetch(store, digest_of(content), object);
        ASSERT_TRUE(reader) << object << ": " << reader.error().message();
        EXPECT_EQ((*reader)->size(), size);
        EXPECT_EQ((*reader)->ready(0), size);
        EXPECT_EQ(pread_bytes((*reader)->fd(), 0, size + 1), content) << object;
        EXPECT_EQ((*reader)->digest(), digest_of(content));
      }
}

TEST_F(FillTest, ReadersFollowTheFill) {
  const Bytes content = make_bytes(kMiB);
  FakeStore store(content);
  store.close_gate_at(300'000);
  start();
  const auto reader = must_open(request(store));
  ASSERT_TRUE(want(reader, 0, 300'000));
  EXPECT_EQ(reader->state(), PageState::filling);
  EXPECT_EQ(reader->ready(0), 300'000u);
  EXPECT_EQ(reader->page().ready.load(), 300'000u);
  EXPECT_EQ(reader->ready(300'000), 0u);
  EXPECT_EQ(pread_bytes(reader->fd(), 0, 300'000), Bytes(content.begin(), content.begin() + 300'000));
  struct stat before {};
  ASSERT_EQ(::fstat(reader->fd(), &before), 0);
  store.open_gate();
  const auto all = read_all(reader);
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(*all, content);
  struct stat after {};
  ASSERT_EQ(::stat(blob_path(digest_of(content)).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "a reader's descriptor must stay the blob's file";
  EXPECT_FALSE(std::filesystem::exists(part_path(key_of(store))));
}

// A plugin that ignores what is ready and reads all there is.
TEST_F(FillTest, TheHeldTailIsInNoFileBeforeVerification) {
  for (const std::size_t size :
       {std::size_t{1000}, std::size_t{kTailSize}, std::size_t{kTailSize + 1}, 3 * kMiB}) {
    const Bytes content = make_bytes(size, size);
    FakeStore store(content);
    auto verifier = std::make_shared<GateVerifier>();
    if (!cache) start();
    auto wish = request(store, digest_of(content), std::to_string(size));
    wish.verifier = verifier;
    const auto reader = must_open(wish);
    verifier->entered.get_future().wait();
    const std::size_t body = size - std::min<std::size_t>(size, kTailSize);
    const Bytes seen = pread_bytes(reader->fd(), 0, size + 100);
    EXPECT_EQ(seen, Bytes(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(body)));
    EXPECT_EQ(reader->ready(0), body);
    EXPECT_EQ(reader->state(), PageState::filling);
    auto last = want_later(reader, size - 1, 1);
    EXPECT_EQ(last.wait_for(0ms), std::future_status::timeout);
    verifier->go_on.set_value();
    ASSERT_TRUE(last.get());
    EXPECT_EQ(verifier->seen, content) << "the verifier sees the tail before anybody else";
    EXPECT_EQ(reader->state(), PageState::verified);
    EXPECT_EQ(pread_bytes(reader->fd(), 0, size + 100), content);
    EXPECT_EQ(cache->blob(digest_of(content))->level, VerifyLevel::signature);
  }
}

TEST_F(FillTest, AFarRangeIsFetchedNextAndNothingTwice) {
  const Bytes content = make_bytes(20 * kMiB);
  FakeStore store(content);
  start();
  store.close_gate_at(100'000);
  const auto reader = must_open(request(store));
  ASSERT_TRUE(store.wait_for_requests(1));
  const std::size_t before = store.requests().size();
  auto far = want_later(reader, 10 * kMiB + 1000, 2000);
  ASSERT_TRUE(store.wait_for_requests(before + 1));
  const auto next = store.requests()[before];
  EXPECT_LE(next.offset, 10 * kMiB + 1000);
  EXPECT_GE(next.offset, 10 * kMiB + 1000 - kChunkSize);
  EXPECT_LE(next.length, 8 * kMiB);
  store.open_gate();
  ASSERT_TRUE(far.get());
  EXPECT_GE(reader->ready(10 * kMiB + 1000), 2000u);
  EXPECT_EQ(pread_bytes(reader->fd(), 10 * kMiB + 1000, 2000),
            Bytes(content.begin() + 10 * kMiB + 1000, content.begin() + 10 * kMiB + 3000));
  const auto all = read_all(reader);
  ASSERT_TRUE(all);
  EXPECT_TRUE(*all == content);
  expect_each_byte_once(store, content.size());
}

TEST_F(FillTest, ManyFarRangesAndNothingTwice) {
  const Bytes content = make_bytes(6 * kMiB + 77);
  FakeStore store(content);
  store.bytes_per_second = 30 * kMiB;
  start();
  const auto reader = must_open(request(store));
  std::mt19937 random(5);
  std::vector<std::pair<std::uint64_t, std::future<Result<std::uint64_t>>>> wants;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t at = random() % (content.size() - 5000);
    wants.emplace_back(at, want_later(reader, at, 1 + random() % 5000));
  }
  for (auto& [at, future] : wants) {
    ASSERT_EQ(future.wait_for(20s), std::future_status::ready);
    const auto ready = future.get();
    ASSERT_TRUE(ready) << ready.error().message();
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(*ready, 5000));
    EXPECT_EQ(pread_bytes(reader->fd(), at, length),
              Bytes(content.begin() + static_cast<std::ptrdiff_t>(at),
                    content.begin() + static_cast<std::ptrdiff_t>(at + length)));
  }
  ASSERT_TRUE(want(reader, 0, content.size()));
  expect_each_byte_once(store, content.size());
}

TEST_F(FillTest, TheUplinkNeverIdlesBetweenRequests) {
  const Bytes content = make_bytes(4 * kMiB);
  FakeStore store(content);
  store.latency = 20ms;
  store.bytes_per_second = 8 * kMiB;
  start();
  ASSERT_TRUE(fetch(store));
  const auto requests = store.requests();
  EXPECT_GE(requests.size(), 3u);
  const auto late = std::ranges::count(requests, false, &FakeStore::Request::overlapped);
  // The first one has nothing to overlap with; one more may be late on a busy machine.
  EXPECT_LE(late, 2) << "of " << requests.size();
}

TEST_F(FillTest, WaitsEndOnceAndInTime) {
  const Bytes content = make_bytes(4 * kMiB);
  FakeStore store(content);
  store.close_gate_at(1000);
  start();
  auto reader = must_open(request(store));
  EXPECT_EQ(want(reader, kMiB, 10, 30ms).error().code(), Code::deadline);
  std::promise<Result<std::uint64_t>> cancelled;
  const WaitId wait =
      reader->want(kMiB, 10, 10, 0ms, [&](Result<std::uint64_t> r) { cancelled.set_value(std::move(r)); });
  reader->cancel(wait);
  EXPECT_EQ(cancelled.get_future().get().error().code(), Code::cancelled);
  EXPECT_EQ(want(reader, content.size(), 10).value(), 0u) << "at the end there is nothing to wait for";

  const int count = scaled(20'000);
  std::vector<std::future<Result<std::uint64_t>>> wants;
  for (int i = 0; i < count; ++i)
    wants.push_back(want_later(reader, static_cast<std::uint64_t>(i) * 997 % content.size(), 1, 20s));
  const auto other = must_open(request(store));
  auto left_behind = want_later(other, content.size() - 1, 1);
  store.open_gate();
  for (auto& future : wants) ASSERT_TRUE(future.get());
  ASSERT_TRUE(left_behind.get());

  FakeStore stuck(content);
  stuck.close_gate_at(0);
  auto closed = must_open(request(stuck, {}, "stuck"));
  auto orphan = want_later(closed, 0, 1);
  closed.reset();
  EXPECT_EQ(orphan.get().error().code(), Code::cancelled);
  stop();
}

TEST_F(FillTest, NonStreamingReadersComeVerifiedOrNotAtAll) {
  const Bytes content = make_bytes(100'000);
  FakeStore store(content);
  store.close_gate_at(50'000);
  start();
  auto wish = request(store);
  wish.streaming = false;
  wish.timeout = 30ms;
  EXPECT_EQ(open(wish).error().code(), Code::deadline);
  wish.timeout = 20s;
  auto later = open_later(wish);
  store.open_gate();
  const auto reader = later.get();
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->state(), PageState::verified);
  EXPECT_EQ(store.sent(), content.size());
}

TEST_F(FillTest, ABandwidthCapPushesBack) {
  const Bytes content = make_bytes(kMiB);
  FakeStore store(content);
  start();
  cache->set_rate_limit("store", 4 * kMiB);
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(fetch(store));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 200ms);
}

TEST_F(FillTest, QueuedFillsGoReadersFirst) {
  options.limits.max_active_fills = 1;
  start();
  FakeStore busy(make_bytes(10'000, 1));
  busy.close_gate_at(0);
  FakeStore later(make_bytes(10'000, 2));
  FakeStore urgent(make_bytes(10'000, 3));
  const auto held = must_open(request(busy, {}, "busy"));
  auto wish = request(later, {}, "later");
  wish.prefetch = true;
  wish.streaming = false;
  std::atomic<int> order{0};
  int later_was = 0;
  int urgent_was = 0;
  std::promise<void> both;
  const auto count = [&](int& slot) {
    slot = ++order;
    if (slot == 2) both.set_value();
  };
  cache->open(wish, [&](const Result<ReaderPtr>&) { count(later_was); });
  wish = request(urgent, {}, "urgent");
  wish.streaming = false;
  cache->open(wish, [&](const Result<ReaderPtr>&) { count(urgent_was); });
  ASSERT_TRUE(eventually([&] { return cache->fills().size() == 3; }));
  EXPECT_TRUE(later.requests().empty());
  busy.open_gate();
  both.get_future().wait();
  EXPECT_LT(urgent_was, later_was);
}

TEST_F(FillTest, StopCompletesEverything) {
  FakeStore store(make_bytes(kMiB));
  store.close_gate_at(1000);
  start();
  const auto reader = must_open(request(store));
  ASSERT_TRUE(want(reader, 0, 10));
  auto waiting = want_later(reader, kMiB / 2, 1);
  auto wish = request(store);
  wish.streaming = false;
  auto opening = open_later(wish);
  stop();
  EXPECT_EQ(waiting.get().error().code(), Code::cancelled);
  EXPECT_EQ(opening.get().error().code(), Code::cancelled);
  EXPECT_EQ(reader->state(), PageState::failed);
  EXPECT_EQ(pread_bytes(reader->fd(), 0, 10).size(), 10u) << "the descriptor outlives the cache";
  EXPECT_EQ(want(reader, 0, 1).error().code(), Code::cancelled);
}

}  // namespace
}  // namespace otagate::cache
