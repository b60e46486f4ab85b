// Who may ask, how it is answered, when, and with what refusal.
#include <chrono>
#include <thread>

#include "drogue_support.hpp"

namespace otagate::plugins::devices {
namespace {

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

TEST_F(DrogueTest, HoldsAnAnswerForAsLongAsItIsAskedWithinTheBound) {
  for (const auto& [ct, held] : {std::pair("30", 27'000U), {"0", 0U}, {"1", 900U}, {"3600", 55'000U}}) {
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
