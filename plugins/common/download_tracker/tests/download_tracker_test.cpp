#include "common/download_tracker/download_tracker.hpp"

#include <deque>
#include <vector>

#include <gtest/gtest.h>

namespace otagate::plugins {
namespace {

// Answers when the test says so.
class ScriptedGateway final : public devices::Gateway {
 public:
  struct Report {
    std::uint64_t attempt;
    std::uint32_t state;
    std::uint32_t part;
    std::uint64_t offset;
    std::string device;
    bool operator==(const Report&) const = default;
  };

  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) override {
    check_ins.push_back((who.by_address ? "somebody" : std::string(who.device)) + " at " +
                        std::string(who.address));
    EXPECT_TRUE(!who.by_address || (who.device.empty() && who.type.empty() && who.principal == 0));
    EXPECT_TRUE(who.versions.empty());
    sdk::Outcome<sdk::Offer> out;
    out.value = offer;
    pending.push_back([done = std::move(done), out] { done(out); });
  }
  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) override {
    reports.push_back({report.attempt, report.state, report.part, report.offset, std::string(report.device)});
    sdk::Outcome<std::uint32_t> out;
    out.status = status;
    out.value = answer;
    pending.push_back([done = std::move(done), out] { done(out); });
  }
  void read(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
            std::function<void(sdk::Outcome<std::string>)>) override {
    FAIL();
  }
  void old_digests(std::uint64_t, std::uint64_t, std::function<void(sdk::Outcome<OldDigests>)>) override {
    FAIL();
  }
  void reply() {
    while (!pending.empty()) {
      const auto next = std::move(pending.front());
      pending.pop_front();
      next();
    }
  }

  sdk::Offer offer;
  std::uint32_t status = OTAGATE_OK;
  std::uint32_t answer = OTAGATE_CONTINUE;
  std::vector<std::string> check_ins;
  std::vector<Report> reports;
  std::deque<std::function<void()>> pending;
};

constexpr std::uint64_t kSize = 300'000;

class DownloadTrackerTest : public testing::Test {
 protected:
  DownloadTrackerTest() {
    gateway.offer.attempt = 7;
    gateway.offer.lease_ms = 60'000;
    gateway.offer.parts.resize(2);
    gateway.offer.parts[0].firmware = 1;
    gateway.offer.parts[1].firmware = 2;
    gateway.offer.parts[1].sha256 = "ab";
  }
  DownloadTracker::TrackPtr begin(std::uint64_t offset, std::uint64_t now, std::uint64_t firmware = 2,
                                  std::string_view sha256 = {}) {
    return tracker.begin({&who, firmware, sha256, kSize, "10.0.0.7", offset}, now);
  }

  ScriptedGateway gateway;
  DownloadTracker tracker{gateway};
  const sdk::Principal who{3, "sensor-1", "sensor"};
};

TEST_F(DownloadTrackerTest, ADownloadByRangesIsAnAttempt) {
  auto track = begin(0, 1000);
  EXPECT_EQ(gateway.check_ins, std::vector<std::string>{"sensor-1 at 10.0.0.7"});
  DownloadTracker::sent(track, 1024, 1000);
  EXPECT_TRUE(gateway.reports.empty()) << "nothing is known of an offer yet";
  gateway.reply();
  const ScriptedGateway::Report first{7, OTAGATE_ATTEMPT_DOWNLOADING, 1, 1024, "sensor-1"};
  EXPECT_EQ(gateway.reports, std::vector{first});

  // 64 KiB, but within two seconds; then the two seconds.
  DownloadTracker::sent(begin(1024, 1500), 80'000, 1500);
  EXPECT_EQ(gateway.reports.size(), 1U);
  DownloadTracker::sent(begin(80'000, 3100), 80'500, 3100);
  gateway.reply();
  ASSERT_EQ(gateway.reports.size(), 2U);
  EXPECT_EQ(gateway.reports[1].offset, 80'500U);

  DownloadTracker::sent(begin(80'500, 3200), kSize, 3200);
  gateway.reply();
  ASSERT_EQ(gateway.reports.size(), 3U);
  EXPECT_EQ(gateway.reports[2].state, OTAGATE_ATTEMPT_DOWNLOADED);
  EXPECT_EQ(gateway.reports[2].offset, kSize);
  EXPECT_EQ(gateway.check_ins.size(), 1U);

  // Over is over.
  DownloadTracker::sent(track, kSize, 9000);
  EXPECT_EQ(gateway.reports.size(), 3U);
}

TEST_F(DownloadTrackerTest, ASlowDownloadKeepsItsLease) {
  auto track = begin(0, 0);
  gateway.reply();
  DownloadTracker::sent(track, 1000, 9'999);
  EXPECT_EQ(gateway.reports.size(), 1U);
  DownloadTracker::sent(track, 1010, 10'000);
  EXPECT_EQ(gateway.reports.size(), 2U);
}

TEST_F(DownloadTrackerTest, WhatWasSentBeforeTheOfferCounts) {
  DownloadTracker::sent(begin(0, 0), kSize, 0);
  gateway.reply();
  ASSERT_EQ(gateway.reports.size(), 2U);
  EXPECT_EQ(gateway.reports[0].state, OTAGATE_ATTEMPT_DOWNLOADING);
  EXPECT_EQ(gateway.reports[1].state, OTAGATE_ATTEMPT_DOWNLOADED);
}

TEST_F(DownloadTrackerTest, AnOfferOfOtherFirmwareIsNotTaken) {
  auto track = begin(0, 0, 9);
  gateway.reply();
  DownloadTracker::sent(track, kSize, 20'000);
  EXPECT_TRUE(gateway.reports.empty());
  // The same bytes by another path are the same firmware.
  DownloadTracker::sent(begin(0, 0, 10, "ab"), 5, 0);
  gateway.reply();
  EXPECT_EQ(gateway.reports.size(), 1U);
}

TEST_F(DownloadTrackerTest, ANewDownloadAsksAgainButNotAllTheTime) {
  gateway.offer.attempt = 0;
  begin(0, 0);
  gateway.reply();
  begin(0, 9'999);
  begin(4096, 20'000);
  EXPECT_EQ(gateway.check_ins.size(), 1U);
  begin(0, 10'000);
  EXPECT_EQ(gateway.check_ins.size(), 2U);
}

TEST_F(DownloadTrackerTest, AnAttemptThatEndedIsNotReportedOn) {
  for (const bool stop : {false, true}) {
    gateway.status = stop ? OTAGATE_OK : OTAGATE_NOT_FOUND;
    gateway.answer = stop ? OTAGATE_STOP : OTAGATE_CONTINUE;
    gateway.reports.clear();
    auto track = begin(0, stop ? 100'000 : 0);
    gateway.reply();
    EXPECT_EQ(gateway.reports.size(), 1U);
    DownloadTracker::sent(track, kSize, 200'000);
    gateway.reply();
    EXPECT_EQ(gateway.reports.size(), 1U);
  }
}

TEST_F(DownloadTrackerTest, ADownloadWithoutACredentialIsOfWhoeverIsAtItsAddress) {
  const auto from = [&](std::string_view address) {
    return tracker.begin({.sha256 = "ab", .size = kSize, .address = address, .offset = 0}, 0);
  };
  const auto one = from("10.0.0.7:1");
  EXPECT_EQ(from("10.0.0.7:1"), one);
  EXPECT_NE(from("10.0.0.8:1"), one);
  EXPECT_EQ(gateway.check_ins,
            (std::vector<std::string>{"somebody at 10.0.0.7:1", "somebody at 10.0.0.8:1"}));
  gateway.reply();
  DownloadTracker::sent(one, kSize, 0);
  gateway.reply();
  ASSERT_EQ(gateway.reports.size(), 3U);
  EXPECT_EQ(gateway.reports[2], (ScriptedGateway::Report{7, OTAGATE_ATTEMPT_DOWNLOADED, 1, kSize, ""}))
      << "the transport vouches for it";
}

TEST_F(DownloadTrackerTest, BlobsThatAreInNoCatalogAreToldApart) {
  const auto one = tracker.begin({&who, 0, "ab", kSize, "10.0.0.7", 0}, 0);
  EXPECT_NE(tracker.begin({&who, 0, "cd", kSize, "10.0.0.7", 0}, 0), one);
  EXPECT_EQ(tracker.begin({&who, 0, "ab", kSize, "10.0.0.7", 0}, 0), one);
}

TEST_F(DownloadTrackerTest, IsBounded) {
  const auto first = begin(0, 0, 1);
  for (std::uint64_t firmware = 2; firmware < 2 + DownloadTracker::kMaxTracks; ++firmware)
    begin(0, 0, firmware);
  gateway.reply();
  EXPECT_EQ(gateway.check_ins.size(), DownloadTracker::kMaxTracks + 1);
  EXPECT_NE(begin(0, 1, 1), first) << "the one that was quiet for longest was forgotten";
}

}  // namespace
}  // namespace otagate::plugins
