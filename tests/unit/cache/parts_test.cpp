// The parts the cache is made of, one by one.
#include <array>

#include "cache/checksum.hpp"
#include "cache/fill_map.hpp"
#include "cache/link.hpp"
#include "cache/loop.hpp"
#include "cache/pages.hpp"
#include "cache/rejected_peers.hpp"
#include "support.hpp"

namespace otagate::cache {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// RFC 3720 appendix B.4 and the usual check value.
TEST(Crc32c, MatchesThePublishedVectors) {
  EXPECT_EQ(crc32c(0, bytes_of("123456789")), 0xe3069283u);
  std::array<std::byte, 32> block{};
  EXPECT_EQ(crc32c(0, block), 0x8a9136aau);
  block.fill(std::byte{0xff});
  EXPECT_EQ(crc32c(0, block), 0x62a8ab43u);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(0, block), 0x46dd794eu);
}

TEST(Crc32c, TableAndInstructionAgreeAtEveryLengthAndSplit) {
  const Bytes bytes = make_bytes(300, 2);
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    const auto part = std::span<const std::byte>(bytes).first(length);
    const std::uint32_t whole = crc32c(0, part);
    EXPECT_EQ(whole, crc32c_portable(0, part));
    EXPECT_EQ(whole, crc32c(crc32c(0, part.first(length / 3)), part.subspan(length / 3)));
  }
}

TEST(Loop, RunsTasksInOrderAndTimersInTime) {
  Loop loop("test");
  std::vector<int> order;
  std::promise<void> done;
  loop.after(40ms, [&] {
    order.push_back(4);
    done.set_value();
  });
  loop.after(20ms, [&] { order.push_back(3); });
  const TimerId dropped = loop.after(30ms, [&] { order.push_back(9); });
  loop.cancel(dropped);
  loop.post([&] { order.push_back(1); });
  loop.post([&] { order.push_back(2); });
  done.get_future().wait();
  loop.stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_FALSE(loop.post([] {}));
}

TEST(Loop, StopRunsWhatWasPostedAndDropsTimers) {
  int ran = 0;
  Loop loop("test");
  loop.after(1h, [&] { ran = -100; });
  for (int i = 0; i < 100; ++i) loop.post([&] { ++ran; });
  loop.stop();
  EXPECT_EQ(ran, 100);
}

TEST(PageTable, GivesTheLowestPageAndANewGeneration) {
  auto table = PageTable::create();
  ASSERT_TRUE(table);
  const auto a = (*table)->take();
  const auto b = (*table)->take();
  ASSERT_TRUE(a && b);
  EXPECT_NE(*a, *b);
  const std::uint64_t generation = (*table)->at(*a).generation;
  (*table)->release(*a);
  EXPECT_EQ((*table)->at(*a).state, static_cast<std::uint32_t>(PageState::failed));
  const auto again = (*table)->take();
  EXPECT_EQ(again, a);
  EXPECT_GT((*table)->at(*again).generation, generation);
  EXPECT_EQ((*table)->at(*again).size_of, 64u);
  EXPECT_EQ((*table)->at(*again).total, kUnknownSize);
}

TEST(PageTable, IsBounded) {
  auto table = PageTable::create();
  ASSERT_TRUE(table);
  for (std::uint32_t i = 0; i < PageTable::kPageCount; ++i) ASSERT_TRUE((*table)->take());
  EXPECT_FALSE((*table)->take());
  (*table)->release(77);
  EXPECT_EQ((*table)->take(), 77u);
}

TEST(PageTable, CannotBeResizedOrWrittenByWhoGetsItsDescriptor) {
  auto table = PageTable::create();
  ASSERT_TRUE(table);
  EXPECT_NE(::ftruncate((*table)->read_only_fd(), 0), 0);
  EXPECT_LT(::pwrite((*table)->read_only_fd(), "x", 1, 0), 0);
}

TEST(FillMap, HeaderSurvivesAndDamageIsSeen) {
  const MapHeader header{{"s3", "a/b \xc3\xbc.bin", "\"etag\"", digest_of(make_bytes(9))},
                         12345,
                         "boot",
                         digest_of(make_bytes(8))};
  auto block = FillMap::encode(header);
  ASSERT_TRUE(block);
  const auto back = FillMap::decode(*block);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->key, header.key);
  EXPECT_EQ(back->size, header.size);
  EXPECT_EQ(back->boot_id, header.boot_id);
  EXPECT_EQ(back->sealed, header.sealed);
  for (std::size_t at = 0; at < block->size(); at += 7) {
    auto damaged = *block;
    damaged[at] ^= std::byte{0x20};
    EXPECT_FALSE(FillMap::decode(damaged)) << at;
  }
  EXPECT_FALSE(FillMap::decode(std::span<const std::byte>(*block).first(100)));
}

TEST(FillMap, NamesAreBounded) {
  MapHeader header{{"s3", std::string(4096, 'x'), "", std::nullopt}, 1, ""};
  const auto block = FillMap::encode(header);
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code(), Code::invalid);
  header.key.object.resize(1024);
  EXPECT_TRUE(FillMap::encode(header));
}

TEST(FillMap, BelievesTheLiveMapOfThisBootElseTheDurableOne) {
  const TempDir dir;
  const Layout layout(dir.path());
  ASSERT_TRUE(layout.make_folders());
  const MapHeader header{{"s", "o", "t", std::nullopt}, 10 * kChunkSize, "boot-1"};
  {
    auto map = FillMap::create(layout, header, {});
    ASSERT_TRUE(map);
    ASSERT_TRUE(map->put(1, 111));
    ASSERT_TRUE(map->put(2, 222));
    const std::array<FillMap::Numbered, 1> durable{{{1, {111, MapEntry::kPresent}}}};
    ASSERT_TRUE(map->put_durable(durable));
  }
  const auto live = FillMap::load(layout, header, 10);
  ASSERT_EQ(live.size(), 10u);
  EXPECT_EQ(live[2].checksum, 222u);
  MapHeader rebooted = header;
  rebooted.boot_id = "boot-2";
  const auto durable = FillMap::load(layout, rebooted, 10);
  ASSERT_EQ(durable.size(), 10u);
  EXPECT_EQ(durable[1].checksum, 111u);
  EXPECT_EQ(durable[2].mark, 0u);
  MapHeader other = header;
  other.size += 1;
  EXPECT_TRUE(FillMap::load(layout, other, 10).empty());
}

TEST(FillKey, IdsTellAllMembersApart) {
  const FillKey key{"a", "bc", "d", std::nullopt};
  EXPECT_EQ(key.id(), (FillKey{"a", "bc", "d", std::nullopt}.id()));
  EXPECT_NE(key.id(), (FillKey{"ab", "c", "d", std::nullopt}.id()));
  EXPECT_NE(key.id(), (FillKey{"a", "bc", "d", Digest{}}.id()));
  EXPECT_EQ(key.id().size(), 32u);
}

TEST(Link, SegmentsAreAQuarterSecondWithinBounds) {
  Link link;
  EXPECT_EQ(link.segment(), kSegmentSize);
  link.measured(4 << 20, 1s);
  EXPECT_EQ(link.segment(), 1u << 20);
  for (int i = 0; i < 20; ++i) link.measured(1 << 30, 1s);
  EXPECT_EQ(link.segment(), 8u << 20);
}

TEST(Link, TheBreakerOpensAfterFiveFailuresAndLetsOneProbe) {
  Link link;
  const RetryPolicy retry{100ms, 1'000ms, 10};
  const auto now = Link::Clock::now();
  for (int i = 0; i < 4; ++i) link.failed(retry);
  EXPECT_TRUE(link.admit(now));
  link.failed(retry);
  EXPECT_FALSE(link.admit(now));
  const auto later = link.blocked_until();
  EXPECT_GE(later, now + 70ms);
  EXPECT_TRUE(link.admit(later)) << "the probe";
  EXPECT_FALSE(link.admit(later)) << "one at a time";
  link.succeeded();
  EXPECT_TRUE(link.admit(later) && link.admit(later));
}

TEST(BackOff, DoublesWithJitterUpToItsMost) {
  const RetryPolicy retry{100ms, 1'000ms, 10};
  for (int i = 0; i < 100; ++i) {
    EXPECT_GE(back_off(retry, 1), 75ms);
    EXPECT_LE(back_off(retry, 1), 125ms);
    EXPECT_GE(back_off(retry, 3), 300ms);
    EXPECT_LE(back_off(retry, 3), 500ms);
    EXPECT_LE(back_off(retry, 100), 1'250ms);
  }
}

TEST(RateLimiter, ALiftedLimitReleasesWhoWaits) {
  RateLimiter limiter;
  limiter.set_rate(1);
  const auto never = [] { return false; };
  limiter.take(1000, never);  // passes, and blocks the next for a long time
  std::thread waiter([&] { limiter.take(1, never); });
  limiter.set_rate(0);
  waiter.join();
  std::atomic<bool> stop{false};
  limiter.set_rate(1);
  limiter.take(1000, never);
  std::thread stopped([&] { limiter.take(1, [&] { return stop.load(); }); });
  stop = true;
  limiter.poke();
  stopped.join();
}

TEST(RejectedPeers, AreBoundedAndForgotten) {
  RejectedPeers peers;
  const FillKey key{"s", "o", "t", std::nullopt};
  const std::array<std::uint64_t, 1> first{1};
  peers.add(first, &key, std::nullopt);
  EXPECT_TRUE(peers.contains(1, key));
  EXPECT_TRUE(peers.contains(1, (FillKey{"s", "o", "another token", std::nullopt})));
  EXPECT_FALSE(peers.contains(1, (FillKey{"s", "p", "t", std::nullopt})));
  for (std::uint64_t peer = 2; peer < 6000; ++peer)
    peers.add(std::array<std::uint64_t, 1>{peer}, &key, std::nullopt);
  EXPECT_FALSE(peers.contains(1, key)) << "the oldest go";
  EXPECT_TRUE(peers.contains(5999, key));
  peers.remove(5999, key);
  EXPECT_FALSE(peers.contains(5999, key));
}

}  // namespace
}  // namespace otagate::cache
