// devices::Gateway over the plugin ABI: on whose thread, how many readers, and what after the end.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "common/device_protocols/host_gateway.hpp"
#include "common/testing/fake_transport_host.hpp"

namespace otagate::plugins::devices {
namespace {

using otagate::testing::FakeTransportHost;

// A carrier: a queue that the test's thread runs.
class Carrier {
 public:
  HostGateway::Post post() {
    return [this](std::function<void()> work) {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
      ++posted_;
      wake_.notify_all();
    };
  }
  // Runs what is posted until the condition holds; false after 20 s.
  bool run_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      std::unique_lock lock(mutex_);
      if (!wake_.wait_until(lock, end, [&] { return !queue_.empty(); })) return false;
      auto work = std::move(queue_.front());
      queue_.erase(queue_.begin());
      lock.unlock();
      work();
    }
    return true;
  }
  bool wait_posted(int count) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::seconds(20), [&] { return posted_ >= count; });
  }
  int posted() {
    const std::lock_guard lock(mutex_);
    return posted_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> queue_;  // under mutex
  int posted_ = 0;                            // under mutex
};

class HostGatewayTest : public ::testing::Test {
 protected:
  FakeTransportHost fake;
  sdk::TransportHost host{fake.table(), 1};
  Carrier carrier;
  std::optional<HostGateway> gateway{std::in_place, host, carrier.post()};

  ~HostGatewayTest() override {
    gateway.reset();
    fake.stop();
  }

  sdk::Outcome<std::string> read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset,
                                 std::uint32_t length) {
    std::optional<sdk::Outcome<std::string>> out;
    gateway->read(principal, firmware, offset, length, [&, me = std::this_thread::get_id()](auto got) {
      EXPECT_EQ(std::this_thread::get_id(), me);
      out = std::move(got);
    });
    EXPECT_TRUE(carrier.run_until([&] { return out.has_value(); }));
    return out.value_or(sdk::Outcome<std::string>{OTAGATE_INTERNAL, 0, "no answer", {}});
  }
};

TEST_F(HostGatewayTest, CheckInAndProgressComeBackOnTheCarriersThread) {
  const auto me = std::this_thread::get_id();
  std::uint64_t next = 0;
  std::uint32_t answer = 99;
  gateway->check_in({.device = "dev-1"}, [&](const sdk::Outcome<sdk::Offer>& got) {
    EXPECT_EQ(std::this_thread::get_id(), me);
    next = got.value.next_after_ms;
  });
  gateway->progress({.attempt = 17, .device = "dev-1"}, [&](const sdk::Outcome<std::uint32_t>& got) {
    EXPECT_EQ(std::this_thread::get_id(), me);
    answer = got.value;
  });
  EXPECT_TRUE(carrier.run_until([&] { return next != 0 && answer != 99; }));
  EXPECT_EQ(next, 1234U);
  EXPECT_EQ(answer, OTAGATE_STOP);
  EXPECT_EQ(fake.heard(), (std::vector<std::string>{"check-in dev-1", "progress dev-1 17"}));
}

TEST_F(HostGatewayTest, ReadsRangesThroughOneReader) {
  fake.add_blob(7, "0123456789");
  EXPECT_EQ(read(1, 7, 0, 4).value, "0123");
  EXPECT_EQ(read(1, 7, 4, 100).value, "456789");
  const auto end = read(1, 7, 10, 4);
  EXPECT_EQ(end.status, OTAGATE_OK);
  EXPECT_EQ(end.value, "");
  EXPECT_EQ(read(1, 7, UINT64_MAX, 4).value, "");
  EXPECT_EQ(fake.opened(), 1);
  EXPECT_EQ(read(1, 8, 0, 4).status, OTAGATE_NOT_FOUND);
}

TEST_F(HostGatewayTest, EachPrincipalIsAskedForOnce) {
  fake.add_blob(7, "0123456789");
  fake.deny(2);
  EXPECT_EQ(read(1, 7, 0, 4).value, "0123");
  EXPECT_EQ(read(2, 7, 0, 4).status, OTAGATE_NOT_FOUND) << "another's reader gives him nothing";
  EXPECT_EQ(read(3, 7, 0, 4).value, "0123");
  EXPECT_EQ(read(1, 7, 4, 4).value, "4567");
  EXPECT_EQ(read(3, 7, 4, 4).value, "4567");
  EXPECT_EQ(fake.opened(), 2);
  EXPECT_TRUE(fake.wait_for_open(1)) << "one reader for a firmware";
}

TEST_F(HostGatewayTest, OneBlobUnderManyIdsHasOneReader) {
  for (std::uint64_t firmware = 1; firmware <= 20; ++firmware) fake.add_blob(firmware, "bytes", 0, "one");
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t firmware = 1; firmware <= 20; ++firmware)
      EXPECT_EQ(read(firmware, firmware, 0, 5).value, "bytes");
  }
  EXPECT_EQ(fake.opened(), 20);
  EXPECT_TRUE(fake.wait_for_open(1));
}

TEST_F(HostGatewayTest, ManyAtOnceCostOneOpen) {
  fake.add_blob(7, "0123456789");
  fake.pause(true);
  std::vector<std::string> got;
  for (std::uint64_t i = 0; i < 10; ++i)
    gateway->read(1, 7, i, 1, [&](const sdk::Outcome<std::string>& one) { got.push_back(one.value); });
  fake.pause(false);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 10; }));
  EXPECT_EQ(got, (std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
  EXPECT_EQ(fake.opened(), 1);
}

TEST_F(HostGatewayTest, KeepsEightReadersAndClosesThemWhenIdle) {
  for (std::uint64_t firmware = 1; firmware <= 12; ++firmware) {
    fake.add_blob(firmware, "bytes");
    EXPECT_EQ(read(1, firmware, 0, 5).value, "bytes");
  }
  EXPECT_TRUE(fake.wait_for_open(8));
  EXPECT_EQ(read(1, 12, 0, 1).value, "b");
  EXPECT_EQ(fake.opened(), 12);
  EXPECT_EQ(read(1, 1, 0, 1).value, "b");
  EXPECT_EQ(fake.opened(), 13) << "the one used longest ago had gone";
  // Not idle yet when the timer comes: another is set.
  EXPECT_EQ(fake.fire_timers(), 1U);
  const int posted = carrier.posted();
  EXPECT_TRUE(carrier.run_until([&] { return fake.fire_timers(OTAGATE_BUSY) == 1; }));
  EXPECT_TRUE(carrier.wait_posted(posted + 1));
  EXPECT_TRUE(carrier.run_until([&] { return fake.open_now() == 0; })) << "no timer, no reader";
}

TEST_F(HostGatewayTest, AChangeOfTheCatalogOpensAnew) {
  fake.add_blob(7, "0123456789");
  EXPECT_EQ(read(1, 7, 0, 4).value, "0123");
  fake.deny(1);
  EXPECT_EQ(read(1, 7, 4, 4).value, "4567");
  fake.change_catalog();
  EXPECT_EQ(read(1, 7, 4, 4).status, OTAGATE_NOT_FOUND);
  EXPECT_EQ(fake.open_now(), 0);
}

TEST_F(HostGatewayTest, AShortFileIsReportedAndAFailedBlobGivesNothing) {
  fake.add_blob(7, "0123", 10);
  auto got = read(1, 7, 2, 8);
  EXPECT_EQ(got.status, OTAGATE_TRANSIENT);
  EXPECT_TRUE(got.value.empty());
  EXPECT_NE(got.retry_after_ms, 0U);
  EXPECT_EQ(fake.bad(), 1);
  EXPECT_TRUE(fake.wait_for_open(0));

  fake.add_blob(8, "0123456789");
  EXPECT_EQ(read(1, 8, 0, 4).value, "0123");
  fake.fail_blob(8);
  got = read(1, 8, 4, 4);
  EXPECT_EQ(got.status, OTAGATE_TRANSIENT);
  EXPECT_TRUE(got.value.empty());
  EXPECT_TRUE(fake.wait_for_open(0));
}

TEST_F(HostGatewayTest, NothingIsCalledOnceItIsClosed) {
  fake.add_blob(7, "0123456789");
  EXPECT_EQ(read(1, 7, 0, 4).value, "0123");
  fake.pause(true);
  int called = 0;
  gateway->check_in({.device = "dev-1"}, [&](const auto&) { ++called; });
  gateway->read(2, 7, 0, 4, [&](const auto&) { ++called; });
  gateway->old_digests(2, 7, [&](const auto&) { ++called; });
  const int posted = carrier.posted();
  gateway->close();
  EXPECT_TRUE(fake.wait_for_open(0));
  fake.pause(false);
  // The replies come to nobody, and the readers they bring are closed.
  fake.fire_timers();
  gateway->check_in({.device = "dev-2"}, [&](const auto&) { ++called; });
  gateway.reset();
  HostGateway other(host, carrier.post());
  bool through = false;
  other.check_in({.device = "dev-3"}, [&](const auto&) { through = true; });
  EXPECT_TRUE(carrier.run_until([&] { return through; })) << "by then all replies before it have come";
  EXPECT_EQ(called, 0);
  EXPECT_EQ(carrier.posted(), posted + 1);
  EXPECT_TRUE(fake.wait_for_open(0));
  EXPECT_EQ(fake.heard(), (std::vector<std::string>{"check-in dev-1", "check-in dev-3"}));
}

TEST_F(HostGatewayTest, WhatWasPostedBeforeTheEndDoesNothingAfterIt) {
  int called = 0;
  gateway->check_in({.device = "dev-1"}, [&](const auto&) { ++called; });
  EXPECT_TRUE(carrier.wait_posted(1));
  gateway.reset();
  HostGateway other(host, carrier.post());
  bool through = false;
  other.check_in({.device = "dev-2"}, [&](const auto&) { through = true; });
  EXPECT_TRUE(carrier.run_until([&] { return through; }));
  EXPECT_EQ(called, 0);
}

TEST_F(HostGatewayTest, OldDigestsAreComputedOnceForABlob) {
  const std::string large(200'000, 'a');
  fake.add_blob(7, "abc");
  fake.add_blob(8, large);
  fake.add_blob(9, "");
  std::vector<sdk::Outcome<Gateway::OldDigests>> got;
  const auto keep = [&](auto one) { got.push_back(std::move(one)); };
  for (int i = 0; i < 3; ++i) gateway->old_digests(1, 7, keep);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 3; }));
  fake.truncate_blob(7);  // nobody looks any more
  gateway->old_digests(1, 7, keep);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 4; }));
  for (const auto& one : got) {
    ASSERT_EQ(one.status, OTAGATE_OK) << one.message;
    EXPECT_EQ(one.value.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(one.value.md5, "900150983cd24fb0d6963f7d28e17f72");
  }
  got.clear();
  gateway->old_digests(1, 8, keep);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 1; }));
  EXPECT_EQ(got[0].value.sha1, "ec99adda39f462070e2c7ecbc8433e70dc9fb54c");
  EXPECT_EQ(got[0].value.md5, "561b1994f6baacd6e5eaf4baaa12849f");
  gateway->old_digests(1, 9, keep);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 2; }));
  EXPECT_EQ(got[1].value.sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(got[1].value.md5, "d41d8cd98f00b204e9800998ecf8427e");
  fake.deny(2);
  gateway->old_digests(2, 7, keep);
  EXPECT_TRUE(carrier.run_until([&] { return got.size() == 3; }));
  EXPECT_EQ(got[2].status, OTAGATE_NOT_FOUND) << "known, but not to everybody";
  EXPECT_TRUE(fake.wait_for_open(0));
}

TEST_F(HostGatewayTest, AShortFileHasNoDigests) {
  fake.add_blob(7, "abc", 10);
  std::optional<sdk::Outcome<Gateway::OldDigests>> got;
  gateway->old_digests(1, 7, [&](auto one) { got = std::move(one); });
  EXPECT_TRUE(carrier.run_until([&] { return got.has_value(); }));
  EXPECT_EQ(got->status, OTAGATE_TRANSIENT);
  EXPECT_EQ(fake.bad(), 1);
}

TEST_F(HostGatewayTest, CarriersShareADigester) {
  fake.add_blob(7, "abc");
  const auto digester = std::make_shared<OldDigester>();
  HostGateway one(host, carrier.post(), digester);
  HostGateway two(host, carrier.post(), digester);
  int good = 0;
  const auto count = [&](const auto& got) { good += got ? 1 : 0; };
  one.old_digests(1, 7, count);
  two.old_digests(1, 7, count);
  EXPECT_TRUE(carrier.run_until([&] { return good == 2; }));
  digester->stop();
  std::uint32_t status = OTAGATE_OK;
  two.old_digests(1, 7, [&](const auto& got) { status = got.status; });
  EXPECT_TRUE(carrier.run_until([&] { return status != OTAGATE_OK; }));
  EXPECT_EQ(status, OTAGATE_CANCELLED);
}

}  // namespace
}  // namespace otagate::plugins::devices
