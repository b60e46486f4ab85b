// How a fill ends: rejected, or as the one copy of its bytes.
#include "cache/fill.hpp"

#include "support.hpp"

namespace otagate::cache {
namespace {

constexpr std::size_t kMiB = 1 << 20;

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

}  // namespace
}  // namespace otagate::cache
