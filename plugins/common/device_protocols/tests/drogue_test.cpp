// What a device is told, by what it says and what the gateway has for it.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "common/cbor/decoder.hpp"
#include "common/device_protocols/drogue/drogue.hpp"
#include "common/device_protocols/drogue/exchange.hpp"
#include "common/device_protocols/drogue/message.hpp"
#include "common/device_protocols/drogue/text.hpp"
#include "common/testing/hex.hpp"
#include "scripted_gateway.hpp"

namespace otagate::plugins::devices {
namespace {

using drogue::Spelling;
using drogue::Status;
using drogue::Update;
using otagate::testing::from_hex;

struct Got {
  int http = 0;
  std::string kind{};
  cbor::Value members{};
  Response raw{};
  std::uint64_t number(const char* name) const {
    return members.find(name)->as_unsigned().value_or(999'999'999);
  }
  std::string bytes(const char* name) const { return members.find(name)->string; }
  bool is_null(const char* name) const { return members.find(name)->is_nothing(); }
};

class DrogueTest : public ::testing::Test {
 protected:
  ScriptedGateway gateway;
  Settings settings;
  Request request;
  std::string body;

  DrogueTest() {
    request.method = Method::post;
    request.path = {"v1", "dfu"};
    request.principal = 5;
    request.principal_device = "dev-1";
    request.peer = "10.0.0.7:4711";
    gateway.image = std::string(5000, '\0');
    for (std::size_t i = 0; i < gateway.image.size(); ++i)
      gateway.image[i] = static_cast<char>(i * 7 + i / 256);
  }

  void offer(sdk::Offer made) { gateway.offers = {good(std::move(made))}; }

  Response raw(std::string_view bytes) {
    body = bytes;
    request.body = body;
    return ask(Drogue(settings), request, gateway);
  }

  // Sent and answered with names, so that a test can read it.
  Got send(const Status& status) {
    Got out;
    out.raw = raw(drogue::write_status(status, Spelling::named));
    out.http = out.raw.status;
    const auto command = cbor::decode(out.raw.body);
    if (!command || command.value.items.size() != 2) return out;
    out.kind = command.value.items[0].string;
    out.members = command.value.items[1];
    EXPECT_EQ(out.raw.command, "dfu");
    EXPECT_EQ(out.raw.content_type, "application/cbor");
    EXPECT_EQ(out.members.find("correlation_id")->as_unsigned(), status.correlation_id);
    return out;
  }

  std::vector<std::uint32_t> states() const {
    std::vector<std::uint32_t> out;
    for (const auto& one : gateway.told) out.push_back(one.state);
    return out;
  }
};

TEST_F(DrogueTest, ServesItsPathAndPostOnly) {
  const Drogue protocol(settings);
  EXPECT_TRUE(protocol.serves({"v1", "dfu"}));
  EXPECT_FALSE(protocol.serves({"v1"}));
  EXPECT_FALSE(protocol.serves({"v1", "dfu", "x"}));
  EXPECT_FALSE(protocol.serves({"v2", "dfu"}));
  request.method = Method::get;
  EXPECT_EQ(raw("").status, 405);
}

TEST_F(DrogueTest, ChecksTheDeviceIn) {
  request.principal_type = "board";
  send({"1.0.0", {}, {}, {}});
  ASSERT_EQ(gateway.asked.size(), 1U);
  const auto& asked = gateway.asked[0];
  EXPECT_EQ(asked.principal, 5U);
  EXPECT_EQ(asked.device, "dev-1");
  EXPECT_EQ(asked.type, "board");
  EXPECT_EQ(asked.address, "10.0.0.7:4711");
  EXPECT_EQ(asked.versions, (sdk::Pairs{{"application", "1.0.0"}}));
  EXPECT_EQ(asked.acting_for, "");
  EXPECT_EQ(asked.deadline_ms, 0U);
}

TEST_F(DrogueTest, WhoAsks) {
  const struct {
    const char* credential;
    sdk::Pairs query;
    const char* device;
    const char* acting_for;
    const char* type;
  } kTable[] = {
      {"dev-1", {}, "dev-1", "", "board"},
      {"gw", {{"as", "dev-2"}}, "dev-2", "gw", ""},
      {"gw", {{"as", "dev-2"}, {"type", "tag"}}, "dev-2", "gw", "tag"},
      {"gw", {{"as", "gw"}}, "gw", "", "board"},
      {"", {{"device", "dev-3"}, {"type", "tag"}}, "dev-3", "", "board"},
      {"", {{"as", "dev-4"}}, "dev-4", "", "board"},
      {"", {{"device", "gw"}, {"as", "dev-5"}}, "dev-5", "gw", ""},
      {"dev-1", {{"device", "dev-9"}}, "dev-9", "", "board"},  // for the gateway to refuse
  };
  for (const auto& row : kTable) {
    request.principal_device = row.credential;
    request.principal_type = "board";
    request.query = row.query;
    gateway.asked.clear();
    send({"1", {}, {}, {}});
    ASSERT_EQ(gateway.asked.size(), 1U);
    EXPECT_EQ(gateway.asked[0].device, row.device);
    EXPECT_EQ(gateway.asked[0].acting_for, row.acting_for);
    EXPECT_EQ(gateway.asked[0].type, row.type);
  }
  request.principal_device = {};
  request.query.clear();
  gateway.asked.clear();
  const auto nobody = send({"1", {}, {}, {}});
  EXPECT_EQ(nobody.http, 400);
  EXPECT_NE(nobody.raw.body.find("?device="), std::string::npos);
  EXPECT_TRUE(gateway.asked.empty());
}

TEST_F(DrogueTest, AnswersInTheSpellingOfTheRequest) {
  offer(offer_of({part_of("1.0.1", 4)}));
  gateway.image = from_hex("deadbeef");
  EXPECT_EQ(raw(from_hex("a40045312e302e300119020002f603f6")).body,
            from_hex("a102a40045312e302e3101f602000344deadbeef"));
  EXPECT_EQ(raw(from_hex("8145312e302e30")).body, from_hex("a102a40045312e302e3101f602000344deadbeef"));
  EXPECT_EQ(raw(from_hex("a16776657273696f6e45312e302e30")).body,
            from_hex("a1655772697465a46776657273696f6e45312e302e316e636f7272656c6174696f6e5f6964f6666f6666736"
                     "5740064646174"
                     "6144deadbeef"));
  const auto json = raw(R"({"version":"1.0.0"})");
  EXPECT_EQ(json.content_type, "application/json");
  EXPECT_EQ(json.command, "dfu");
  EXPECT_EQ(json.body, R"({"Write":{"version":"1.0.1","correlation_id":null,"offset":0,"data":"3q2+7w=="}})");
}

TEST_F(DrogueTest, WhatIsNoStatusIsRefusedAndTheGatewayIsNotAsked) {
  EXPECT_EQ(raw(from_hex("a16776657273696f6e6131")).status, 400);
  EXPECT_EQ(raw("").status, 400);
  EXPECT_EQ(raw(std::string(4096, 'x')).status, 413);
  request.query = {{"ct", "soon"}};
  EXPECT_EQ(raw(from_hex("a1004131")).status, 400);
  EXPECT_TRUE(gateway.asked.empty());
}

// ---- the decision table

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

// ---- blocks

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

// ---- long poll

TEST_F(DrogueTest, HoldsAnAnswerForAsLongAsItIsAskedWithinTheBound) {
  for (const auto& [ct, held] : {std::pair("30", 30'000U), {"0", 0U}, {"55", 55'000U}, {"3600", 55'000U}}) {
    request.query = {{"ct", ct}};
    gateway.asked.clear();
    send({"1.0.0", {}, {}, {}});
    EXPECT_EQ(gateway.asked.at(0).deadline_ms, held);
  }
  for (const char* ct : {"-1", "x", "1.5", "100000000000000000000"}) {
    request.query = {{"ct", ct}};
    EXPECT_EQ(send({"1.0.0", {}, {}, {}}).http, 400) << ct;
  }
}

TEST_F(DrogueTest, AnAnswerThatWasNotHeldSaysWhenToComeBack) {
  request.query = {{"ct", "30"}};
  offer(nothing_for(60'000));
  EXPECT_EQ(send({"1.0.0", {}, {}, {}}).number("poll"), 60U);
}

// Its answer comes as late as was asked for: without another pause the device asks again.
class LateGateway final : public Gateway {
 public:
  std::function<void(sdk::Outcome<sdk::Offer>)> held;
  void check_in(const sdk::CheckIn&, std::function<void(sdk::Outcome<sdk::Offer>)> done) override {
    held = std::move(done);
  }
  void progress(const sdk::Progress&, std::function<void(sdk::Outcome<std::uint32_t>)>) override {}
  void read(std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
            std::function<void(sdk::Outcome<std::string>)>) override {}
  void old_digests(std::uint64_t, std::uint64_t, std::function<void(sdk::Outcome<OldDigests>)>) override {}
};

TEST_F(DrogueTest, AHeldAnswerAsksForNoFurtherPause) {
  settings.max_poll_ms = 2;
  request.query = {{"ct", "1"}};
  body = from_hex("a1004131");
  request.body = body;
  LateGateway late;
  std::vector<Response> got;
  Drogue(settings).handle(request, late, [&](Response response) { got.push_back(std::move(response)); });
  ASSERT_TRUE(late.held);
  EXPECT_TRUE(got.empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the time itself is what counts here
  late.held(good(nothing_for(60'000)));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].body, from_hex("a101a300413101f602f6"));
}

// ---- versions that do not fit

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
    EXPECT_EQ(gateway.asked.back().deadline_ms, ct == std::string("30") ? 30'000U : 0U);
  }
}

// ---- components

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

// ---- failures

TEST_F(DrogueTest, WhatMayHelpLaterIsAWaitTheRestAnErrorStatus) {
  const struct {
    std::uint32_t status;
    int http;
  } kTable[] = {{OTAGATE_BUSY, 200},     {OTAGATE_THROTTLED, 200}, {OTAGATE_TRANSIENT, 200},
                {OTAGATE_DEADLINE, 200}, {OTAGATE_DENIED, 403},    {OTAGATE_NOT_FOUND, 404},
                {OTAGATE_INVALID, 400},  {OTAGATE_INTERNAL, 500},  {OTAGATE_PERMANENT, 502},
                {OTAGATE_REJECTED, 502}};
  for (const auto& row : kTable) {
    gateway.offers = {bad<sdk::Offer>(row.status, 2500)};
    auto got = send({"1.0.0", 512, 8, {}});
    EXPECT_EQ(got.http, row.http) << row.status;
    if (row.http == 200) {
      EXPECT_EQ(got.kind, "Wait");
      EXPECT_EQ(got.number("poll"), 3U);
    }
    offer(offer_of({part_of("1.0.1", 5000)}));
    gateway.read_outcome = bad<std::string>(row.status, 2500);
    got = send({"1.0.0", 512, 8, {}});
    EXPECT_EQ(got.http, row.http) << row.status;
    gateway.read_outcome.reset();
  }
}

}  // namespace
}  // namespace otagate::plugins::devices
