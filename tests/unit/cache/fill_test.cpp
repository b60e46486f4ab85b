#include "cache/fill.hpp"

#include <set>

#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

class FillTest : public CacheTest {};

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

TEST_F(FillTest, AWrongDigestIsRejectedAndNobodyHasTheTail) {
  const Bytes content = make_bytes(2 * kMiB);
  FakeStore store(content);
  const Digest wrong = digest_of(make_bytes(10));
  store.close_gate_at(kMiB);
  start();
  auto wish = request(store, wrong);
  wish.peer = "10.0.0.7";
  const auto reader = must_open(wish);
  ASSERT_TRUE(want(reader, 0, 1000));
  store.open_gate();
  const auto all = read_all(reader);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code(), Code::rejected);
  EXPECT_EQ(reader->state(), PageState::failed);
  EXPECT_LE(pread_bytes(reader->fd(), 0, content.size()).size(), content.size() - kTailSize);
  EXPECT_TRUE(host.wait_for(Event::Kind::fill_rejected));
  EXPECT_NE(host.last(Event::Kind::fill_rejected)->message.find(wrong.hex()), std::string::npos);
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(part_path(wish.key)); }));
  EXPECT_FALSE(cache->has(digest_of(content)));
  EXPECT_TRUE(cache->had_rejected_bytes("10.0.0.7", wish.key));
  EXPECT_FALSE(cache->had_rejected_bytes("10.0.0.8", wish.key));
  cache->forget_rejected_bytes("10.0.0.7", wish.key);
  EXPECT_FALSE(cache->had_rejected_bytes("10.0.0.7", wish.key));
  EXPECT_EQ(host.notes().back(), "ended rejected");
}

TEST_F(FillTest, TheVerifiersNoIsARejection) {
  const Bytes content = make_bytes(100'000);
  FakeStore store(content);
  auto verifier = std::make_shared<GateVerifier>();
  verifier->refuse = true;
  verifier->go_on.set_value();
  start();
  auto wish = request(store);
  wish.verifier = verifier;
  wish.streaming = false;
  const auto reader = open(wish);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code(), Code::rejected);
  EXPECT_NE(reader.error().message().find("signature"), std::string::npos);
}

TEST_F(FillTest, UnknownSizeReadersWaitForTheEnd) {
  const Bytes content = make_bytes(700'001);
  FakeStore store(content);
  store.size_known = false;
  store.close_gate_at(500'000);
  start();
  const auto reader = must_open(request(store));
  EXPECT_EQ(reader->size(), std::nullopt);
  auto first = want_later(reader, 0, 1);
  ASSERT_TRUE(eventually([&] { return cache->fills().at(0).present == 500'000; }));
  EXPECT_EQ(first.wait_for(0ms), std::future_status::timeout);
  EXPECT_EQ(reader->ready(0), 0u);
  EXPECT_EQ(pread_bytes(reader->fd(), 0, content.size()).size(), 500'000 - kTailSize)
      << "the newest 4 KiB are held back as the stream goes on";
  store.open_gate();
  ASSERT_TRUE(first.get());
  EXPECT_EQ(reader->size(), content.size());
  EXPECT_EQ(pread_bytes(reader->fd(), 0, content.size()), content);
  EXPECT_EQ(store.requests().size(), 1u);
}

TEST_F(FillTest, AStreamThatStartsAgainIsCompared) {
  for (const bool size_known : {true, false}) {
    const Bytes content = make_bytes(400'000, size_known ? 1 : 2);
    FakeStore store(content);
    store.ranges = false;
    store.size_known = size_known;
    store.fail_next(3, 123'456, Error(Code::transient, "connection reset"));
    if (!cache) start();
    const auto good = fetch(store, {}, size_known ? "known" : "unknown");
    ASSERT_TRUE(good) << good.error().message();
    EXPECT_EQ(pread_bytes((*good)->fd(), 0, content.size()), content);

    // The same version with other bytes: never a mixture.
    FakeStore liar(make_bytes(400'000, 3));
    liar.ranges = false;
    liar.size_known = size_known;
    liar.token = size_known ? "liar-1" : "liar-2";
    liar.fail_next(1, 200'000, Error(Code::transient, "connection reset"));
    liar.close_gate_at(150'000);
    auto wish = request(liar, {}, size_known ? "known" : "unknown");
    wish.streaming = false;
    auto later = open_later(wish);
    ASSERT_TRUE(eventually([&] {
      const auto fills = cache->fills();
      return !fills.empty() && fills[0].present == 150'000;
    }));
    liar.flip(1000);
    liar.open_gate();
    const auto bad = later.get();
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code(), Code::changed) << bad.error().message();
  }
}

TEST_F(FillTest, AChangedObjectEndsTheFillForItsReaders) {
  const Bytes content = make_bytes(2 * kMiB);
  FakeStore store(content);
  store.close_gate_at(300'000);
  start();
  const auto wish = request(store);
  const auto reader = must_open(wish);
  ASSERT_TRUE(want(reader, 0, 100'000));
  store.set_content(make_bytes(2 * kMiB, 9), "v2");
  store.open_gate();
  const auto all = read_all(reader);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code(), Code::changed) << all.error().message();
  EXPECT_TRUE(host.wait_for(Event::Kind::fill_changed));
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(part_path(wish.key)); }));
  EXPECT_TRUE(fetch(store)) << "the new version is another fill";
}

TEST_F(FillTest, ResumesAtTheByteAfterAFailure) {
  const Bytes content = make_bytes(3 * kMiB);
  FakeStore store(content);
  store.fail_next(5, 100'001, Error(Code::transient, "connection reset"));
  start();
  const auto reader = fetch(store);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(pread_bytes((*reader)->fd(), 0, content.size()), content);
  EXPECT_EQ(store.sent(), content.size()) << "no byte came twice";
  EXPECT_EQ(cache->stats().fetch_failures, 5u);
}

TEST_F(FillTest, RetryAfterIsHonoured) {
  FakeStore store(make_bytes(10'000));
  store.fail_next(1, 0, Error(Code::throttled, "slow down").with_retry_after(300));
  start();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(fetch(store));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 300ms);
}

TEST_F(FillTest, GivesUpAndStartsAgainWhereItWas) {
  const Bytes content = make_bytes(kMiB);
  FakeStore store(content);
  store.close_gate_at(400'000);
  start();
  const auto reader = must_open(request(store));
  ASSERT_TRUE(want(reader, 0, 400'000));
  store.fail_next(1000, 0, Error(Code::transient, "no route to host"));
  cache->cancel_fill(key_of(store), false, [](const Result<void>&) {});
  EXPECT_EQ(read_all(reader).error().code(), Code::cancelled);
  store.open_gate();
  const auto gone = fetch(store);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), Code::transient);
  EXPECT_NE(gone.error().message().find("no route to host"), std::string::npos);
  EXPECT_TRUE(host.wait_for(Event::Kind::fill_failed, 2));
  const std::uint64_t sent = store.sent();
  store.fail_next(0, 0, Error(Code::ok, ""));
  const auto back = fetch(store);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(pread_bytes((*back)->fd(), 0, content.size()), content);
  EXPECT_LE(store.sent() - sent, content.size() - 400'000 + 2 * kChunkSize);
}

TEST_F(FillTest, PermanentErrorsAreNotTriedAgain) {
  for (const Code code : {Code::not_found, Code::denied, Code::permanent, Code::unsupported}) {
    FakeStore store(make_bytes(10'000));
    store.fail_next(100, 0, Error(code, "no"));
    if (!cache) start();
    const auto reader = fetch(store, {}, std::string(to_string(code)));
    ASSERT_FALSE(reader);
    EXPECT_EQ(reader.error().code(), code);
    EXPECT_EQ(store.requests().size(), 1u);
  }
}

TEST_F(FillTest, AStoreThatSendsTooLittleIsAskedAgain) {
  class Short : public Source {
   public:
    explicit Short(Bytes bytes) : bytes_(std::move(bytes)) {}
    Caps caps() const override { return {bytes_.size(), true, 0, 2}; }
    FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                  std::function<void(Result<void>)> done) override {
      const std::uint64_t count = std::max<std::uint64_t>(1, length / 2);
      sink->write(std::span<const std::byte>(bytes_).subspan(offset, count));
      done({});  // inline, and as if all had been sent
      return 1;
    }
    void cancel(FetchId) override {}

   private:
    Bytes bytes_;
  };
  const Bytes content = make_bytes(50'000);
  start();
  OpenRequest wish;
  wish.key = {"store", "short", "v1", std::nullopt};
  wish.source = [&] { return std::make_shared<Short>(content); };
  wish.streaming = false;
  const auto reader = open(wish);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(pread_bytes((*reader)->fd(), 0, content.size()), content);
}

TEST_F(FillTest, BytesBeyondTheRequestAreRefused) {
  class Long : public Source {
   public:
    Caps caps() const override { return {1000, true, 0, 2}; }
    FetchId fetch(std::uint64_t, std::uint64_t length, std::shared_ptr<Sink> sink,
                  std::function<void(Result<void>)> done) override {
      const Bytes bytes(static_cast<std::size_t>(length) + 1);
      verdict = sink->write(bytes);
      done({});
      return 1;
    }
    void cancel(FetchId) override {}
    SinkVerdict verdict = SinkVerdict::go_on;
  };
  start();
  auto source = std::make_shared<Long>();
  OpenRequest wish;
  wish.key = {"store", "long", "v1", std::nullopt};
  wish.source = [&] { return source; };
  wish.streaming = false;
  const auto reader = open(wish);
  ASSERT_FALSE(reader);
  EXPECT_NE(reader.error().message().find("more bytes than were asked for"), std::string::npos);
  EXPECT_EQ(source->verdict, SinkVerdict::stop);
}

TEST_F(FillTest, SameBytesFromTwoStoresAreOneBlob) {
  const Bytes content = make_bytes(500'000);
  FakeStore first(content);
  FakeStore second(content);
  start();
  ASSERT_TRUE(fetch(first, {}, "one"));
  second.close_gate_at(200'000);
  auto wish = request(second, {}, "two");
  const auto reader = must_open(wish);
  second.open_gate();
  const auto all = read_all(reader);
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(*all, content);
  EXPECT_EQ(cache->blobs().size(), 1u);
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(part_path(wish.key)); }));
}

// The copy that is there stays while the second one is thrown away, whatever presses for room.
TEST_F(FillTest, TheCopyThatStaysIsNotEvictedMeanwhile) {
  const Bytes content = make_bytes(300'000);
  start();
  for (int i = 0; i < scaled(100); ++i) {
    FakeStore store(content);
    auto filling = fetch(store, {}, "first");
    ASSERT_TRUE(filling) << filling.error().message();
    filling = fail(Code::ok, "");
    FakeStore again(content);
    auto wish = request(again, {}, "second");
    wish.streaming = false;
    auto second = open_later(wish);
    cache->evict(digest_of(content), [](const Result<void>&) {});
    EXPECT_EQ(contents(second.get()), content);
    // Whoever won, the index and the disk agree.
    const auto cached = cache->open_cached(digest_of(content));
    if (cached) {
      EXPECT_EQ(contents(cached), content);
    }
    EXPECT_TRUE(cached || !cache->has(digest_of(content)));
  }
}

TEST_F(FillTest, OneFillForADigestWhateverTheStore) {
  const Bytes content = make_bytes(500'000);
  FakeStore first(content);
  FakeStore second(content);
  first.close_gate_at(100'000);
  start();
  const auto one = must_open(request(first, digest_of(content), "one"));
  const auto two = must_open(request(second, digest_of(content), "two"));
  first.open_gate();
  EXPECT_EQ(contents(one), content);
  EXPECT_EQ(contents(two), content);
  EXPECT_TRUE(second.requests().empty());
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

TEST_F(FillTest, ADeadStoreIsProbedNotHammered) {
  options.limits.max_active_fills = 50;
  options.retry = {50ms, 1'000ms, 4};
  start();
  std::vector<std::unique_ptr<FakeStore>> stores;
  std::vector<std::future<Result<ReaderPtr>>> opens;
  for (int i = 0; i < 30; ++i) {
    stores.push_back(std::make_unique<FakeStore>(make_bytes(1000, static_cast<std::uint64_t>(i))));
    stores.back()->fail_next(1000, 0, Error(Code::transient, "no route to host"));
    auto wish = request(*stores.back(), {}, std::to_string(i));
    wish.streaming = false;
    opens.push_back(open_later(wish));
  }
  std::this_thread::sleep_for(500ms);  // long enough for 30 fills to try several times each
  EXPECT_LE(cache->stats().fetches, 60u) << "the first try of each, then probes";
  for (auto& store : stores) store->fail_next(0, 0, Error(Code::ok, ""));
  cache->retry_now("store");
  for (auto& future : opens) {
    const auto reader = future.get();
    EXPECT_TRUE(reader || reader.error().code() == Code::transient);
  }
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
