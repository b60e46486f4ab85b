// Stores that know less, fail, or do not do as they are told.
#include "cache/fill.hpp"

#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

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

}  // namespace
}  // namespace otagate::cache
