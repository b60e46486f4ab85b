// What a device is told to do, by what it says and what the gateway has for it.
#include "drogue_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DrogueTest, NothingToDoIsSyncOfWhatItRuns) {
  offer(nothing_for(90'500));
  const auto got = send({"1.0.0", 512, 42, {}});
  EXPECT_EQ(got.kind, "Sync");
  EXPECT_EQ(got.bytes("version"), "1.0.0");
  EXPECT_EQ(got.number("poll"), 91U);
  EXPECT_TRUE(gateway.told.empty());
}

TEST_F(DrogueTest, NothingToDoInTheMiddleOfATransferIsWait) {
  offer(nothing_for(30'000));
  const auto got = send({"1.0.0", 512, 42, Update{"1.0.1", 1024}});
  EXPECT_EQ(got.kind, "Wait");
  EXPECT_EQ(got.number("poll"), 30U);
}

TEST_F(DrogueTest, AnEmptyVersionIsNotSynced) {
  offer(nothing_for(0));
  const auto got = send({"", {}, {}, {}});
  EXPECT_EQ(got.kind, "Wait");
  EXPECT_EQ(got.number("poll"), 1U) << "nobody asks without a pause";
  EXPECT_TRUE(gateway.asked.at(0).versions.empty());
}

TEST_F(DrogueTest, AnOfferOfWhatItRunsIsSync) {
  offer(offer_of({part_of("v1.0.0", 5000)}));
  const auto got = send({"1.0.0", 512, {}, {}});
  EXPECT_EQ(got.kind, "Sync");
  EXPECT_TRUE(gateway.reads.empty());
}

TEST_F(DrogueTest, WritesFromTheOffsetOfTheSameUpdateElseFromTheStart) {
  offer(offer_of({part_of("1.0.1", 5000)}));
  const struct {
    std::optional<Update> update;
    std::uint64_t offset;
  } kTable[] = {{{}, 0}, {Update{"1.0.1", 0}, 0}, {Update{"1.0.1", 2048}, 2048}, {Update{"1.0.2", 2048}, 0}};
  for (const auto& row : kTable) {
    const auto got = send({"1.0.0", 512, 3, row.update});
    ASSERT_EQ(got.kind, "Write");
    EXPECT_EQ(got.bytes("version"), "1.0.1");
    EXPECT_EQ(got.number("offset"), row.offset);
    EXPECT_EQ(got.bytes("data"), gateway.image.substr(row.offset, 512));
    EXPECT_EQ(gateway.reads.back().firmware, 7U);
    EXPECT_EQ(gateway.reads.back().principal, 5U);
  }
}

TEST_F(DrogueTest, ADeviceInTheMiddleOfATransferWasNotRestarted) {
  const struct {
    Status status;
    bool midway;
  } kTable[] = {{{"1.0.0", 512, {}, {}}, false},
                {{"1.0.0", 512, {}, Update{"1.0.1", 0}}, false},
                {{"1.0.0", 512, {}, Update{"1.0.1", 512}}, true},
                {{"1.0.0", 512, {}, Update{"1.0.1", 5000}}, true},
                {{"1.0.1", 512, {}, Update{"1.0.1", 5000}}, false}};  // it has swapped and forgotten nothing
  for (const auto& row : kTable) {
    gateway.asked.clear();
    send(row.status);
    ASSERT_EQ(gateway.asked.size(), 1U);
    EXPECT_EQ(gateway.asked[0].versions, (sdk::Pairs{{"application", row.status.version}}));
    EXPECT_EQ(gateway.asked[0].midway, row.midway);
  }
}

TEST_F(DrogueTest, SwapsAtTheEndAndSaysSoOnce) {
  auto made = offer_of({part_of("1.0.1", 5000)});
  offer(made);
  for (const std::uint32_t offset : {5000U, 5012U}) {  // padded by a radio link
    gateway.told.clear();
    const auto got = send({"1.0.0", 512, 9, Update{"1.0.1", offset}});
    EXPECT_EQ(got.kind, "Swap");
    EXPECT_EQ(got.bytes("version"), "1.0.1");
    EXPECT_EQ(got.bytes("checksum"), from_hex(made.parts[0].sha256));
    EXPECT_EQ(states(), (std::vector<std::uint32_t>{OTAGATE_ATTEMPT_DOWNLOADED, OTAGATE_ATTEMPT_APPLYING}));
    EXPECT_EQ(gateway.told[1].offset, 5000U);
    EXPECT_EQ(gateway.told[1].device, "dev-1");
    EXPECT_EQ(gateway.told[1].principal, 5U);
    EXPECT_EQ(gateway.told[1].attempt, 17U);
  }
  made.resume_token = gateway.told[1].token;
  gateway.told.clear();
  offer(made);
  EXPECT_EQ(send({"1.0.0", 512, 9, Update{"1.0.1", 5000}}).kind, "Swap");
  EXPECT_TRUE(gateway.told.empty()) << "its patience must not begin anew";
}

TEST_F(DrogueTest, NoSwapThatTheGatewayDoesNotKnowOf) {
  offer(offer_of({part_of("1.0.1", 5000)}));
  gateway.answers = {good(std::uint32_t{OTAGATE_CONTINUE}), bad<std::uint32_t>(OTAGATE_BUSY, 7000)};
  const auto got = send({"1.0.0", 512, {}, Update{"1.0.1", 5000}});
  EXPECT_EQ(got.kind, "Wait");
  EXPECT_EQ(got.number("poll"), 7U);
}

TEST_F(DrogueTest, DownloadOnlyDoesNotSwap) {
  auto made = offer_of({part_of("1.0.1", 5000)});
  made.download_only = true;
  offer(made);
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{"1.0.1", 5000}}).kind, "Wait");
  EXPECT_EQ(states(), (std::vector<std::uint32_t>{OTAGATE_ATTEMPT_DOWNLOADED}));
}

TEST_F(DrogueTest, AStoppedAttemptWaits) {
  offer(offer_of({part_of("1.0.1", 5000)}));
  for (const auto& end : {good(std::uint32_t{OTAGATE_STOP}), bad<std::uint32_t>(OTAGATE_NOT_FOUND),
                          bad<std::uint32_t>(OTAGATE_PRECONDITION)}) {
    gateway.answers = {end};
    EXPECT_EQ(send({"1.0.0", 512, {}, {}}).kind, "Wait");
    EXPECT_EQ(send({"1.0.0", 512, {}, Update{"1.0.1", 5000}}).kind, "Wait");
    EXPECT_TRUE(gateway.reads.empty());
  }
}

TEST_F(DrogueTest, ALostReportHoldsNoDownloadUp) {
  offer(offer_of({part_of("1.0.1", 5000)}));
  gateway.answers = {bad<std::uint32_t>(OTAGATE_BUSY)};
  EXPECT_EQ(send({"1.0.0", 512, {}, {}}).kind, "Write");
}

TEST_F(DrogueTest, AnImageOfUnknownSizeEndsWhereItsBytesEnd) {
  offer(offer_of({part_of("1.0.1", OTAGATE_SIZE_UNKNOWN)}));
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{"1.0.1", 4608}}).bytes("data").size(), 392U);
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{"1.0.1", 5000}}).kind, "Swap");
}

TEST_F(DrogueTest, TheWholeImageArrivesWhateverTheMtu) {
  gateway.image.resize(1203);
  for (const std::uint32_t mtu : {1U, 3U, 64U, 510U, 512U, 968U, 4096U}) {
    offer(offer_of({part_of("1.0.1", 1203)}));
    std::string received;
    gateway.told.clear();
    while (true) {
      std::optional<Update> update;
      if (!received.empty()) update = Update{"1.0.1", static_cast<std::uint32_t>(received.size())};
      const auto got = send({"1.0.0", mtu, 1, update});
      if (got.kind == "Swap") break;
      ASSERT_EQ(got.kind, "Write");
      const auto data = got.bytes("data");
      ASSERT_LE(data.size(), std::min(mtu, 1024U));
      ASSERT_FALSE(data.empty());
      if (received.size() + data.size() < 1203 && mtu >= 4) {
        EXPECT_EQ(data.size() % 4, 0U);
      }
      received += data;
    }
    EXPECT_EQ(received, gateway.image);
    EXPECT_LE(gateway.told.size(), 16U + 4U) << "mtu " << mtu;
    EXPECT_EQ(gateway.told[0].state, OTAGATE_ATTEMPT_DOWNLOADING);
    EXPECT_EQ(gateway.told[0].offset, 0U);
  }
}

TEST_F(DrogueTest, BlocksAreCappedByTypeAndAligned) {
  settings.max_block = 1024;
  settings.max_block_of_type = {{"nrf", 500}};
  offer(offer_of({part_of("1.0.1", 5000)}));
  const auto block = [&](const char* type, std::optional<std::uint32_t> mtu) {
    request.principal_type = type;
    return send({"1.0.0", mtu, {}, {}}).bytes("data").size();
  };
  EXPECT_EQ(block("", {}), 512U);
  EXPECT_EQ(block("", 0), 512U);
  EXPECT_EQ(block("", 4000), 1024U);
  EXPECT_EQ(block("nrf", 4000), 500U);
  EXPECT_EQ(block("nrf", 130), 128U);
  settings.write_size = 256;
  EXPECT_EQ(block("nrf", 4000), 256U);
  EXPECT_EQ(block("nrf", 200), 200U) << "less than its write size: its own affair";
  settings.write_size = 0;
  EXPECT_EQ(block("nrf", 130), 130U);
  settings.max_block_of_type = {{"nrf", 0}};
  EXPECT_EQ(block("nrf", 130), 1U);
}

TEST(WorthReporting, SomeSixteenTimesOrEach64KiB) {
  for (const std::uint64_t size : {1ULL, 100ULL, 5000ULL, 65536ULL, 1000000ULL, 20000000ULL}) {
    for (const std::uint32_t block : {16U, 512U, 1024U}) {
      std::uint64_t reports = 0;
      for (std::uint64_t offset = 0; offset < size; offset += block)
        reports += drogue::worth_reporting(offset, block, size) ? 1 : 0;
      EXPECT_GE(reports, 1U);
      EXPECT_LE(reports, std::max<std::uint64_t>(18, size / 65536 + 2)) << size << " in " << block;
      EXPECT_GE(reports, std::min<std::uint64_t>({16, (size + block - 1) / block}))
          << size << " in " << block;
    }
  }
}

TEST_F(DrogueTest, ALongVersionGoesByItsAliasAllTheWay) {
  const std::string version = "2026.11.21-release-candidate-4";
  const auto alias = drogue::wire_version(version);
  offer(offer_of({part_of(version, 5000)}));
  auto got = send({"1.0.0", 512, {}, {}});
  EXPECT_EQ(got.bytes("version"), alias);
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{alias, 2048}}).number("offset"), 2048U);
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{version, 2048}}).number("offset"), 2048U);
  got = send({"1.0.0", 512, {}, Update{alias, 5000}});
  EXPECT_EQ(got.kind, "Swap");
  EXPECT_EQ(got.bytes("version"), alias);

  // It comes back and calls itself by what it was told: the gateway hears the version.
  gateway.asked.clear();
  gateway.offers = {good(offer_of({part_of(version, 5000)})), good(nothing_for(60'000))};
  got = send({alias, 512, {}, {}});
  EXPECT_EQ(got.kind, "Sync");
  EXPECT_EQ(got.bytes("version"), alias);
  ASSERT_EQ(gateway.asked.size(), 2U);
  EXPECT_TRUE(gateway.asked[0].versions.empty());
  EXPECT_EQ(gateway.asked[1].versions, (sdk::Pairs{{"application", version}}));

  // Later on, with nothing to do, an alias is never taken for a version; a long poll is one.
  for (const auto* ct : {"0", "30"}) {
    gateway.asked.clear();
    request.query = {{"ct", ct}};
    offer(nothing_for(60'000));
    EXPECT_EQ(send({alias, 512, {}, {}}).kind, "Sync");
    for (const auto& asked : gateway.asked) EXPECT_TRUE(asked.versions.empty());
    EXPECT_EQ(gateway.asked.back().deadline_ms, ct == std::string("30") ? 27'000U : 0U);
  }
}

TEST_F(DrogueTest, TakesTheFirstPart) {
  offer(offer_of({part_of("1.0.1", 5000), part_of("9.9", 100, "modem")}));
  EXPECT_EQ(send({"1.0.0", 512, {}, Update{"1.0.1", 5000}}).kind, "Swap");
  EXPECT_EQ(gateway.told.at(0).part, 0U);
  offer(offer_of({part_of("9.9", 100, "modem")}));
  request.query = {{"component", "modem"}};
  gateway.asked.clear();
  EXPECT_EQ(send({"9.8", 512, {}, {}}).bytes("version"), "9.9");
  EXPECT_EQ(gateway.asked[0].versions, (sdk::Pairs{{"modem", "9.8"}}));
}

TEST_F(DrogueTest, WhatCannotReachItFailsInsteadOfHanging) {
  const auto failed = [&](const Got& got) {
    EXPECT_EQ(got.kind, "Sync");
    ASSERT_EQ(gateway.told.size(), 1U);
    EXPECT_EQ(gateway.told[0].state, OTAGATE_ATTEMPT_FAILED);
    EXPECT_EQ(gateway.told[0].part, 0U);
    EXPECT_FALSE(gateway.told[0].message.empty());
    EXPECT_TRUE(gateway.reads.empty());
    gateway.told.clear();
  };
  offer(offer_of({part_of("9.9", 100, "modem")}));
  failed(send({"1.0.1", 512, {}, {}}));
  offer(offer_of({part_of("1.0.1", 1ULL << 32)}));
  failed(send({"1.0.0", 512, {}, {}}));
}

}  // namespace
}  // namespace otagate::plugins::devices
