#include "devices.hpp"

#include <gtest/gtest.h>

#include "fake_gateway.hpp"
#include "problem.hpp"
#include "scripted_protocol.hpp"

namespace otagate::coap {
namespace {

using std::chrono::seconds;

std::span<const std::uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class DevicesTest : public testing::Test {
 protected:
  DevicesTest() {
    peer.port = 5000;
    script.at_once = proto::Response{.status = 200,
                                     .content_type = "application/cbor",
                                     .headers = {},
                                     .body = "reply",
                                     .command = "dfu",
                                     .retry_after = 7};
  }
  static Devices::Protocols protocols(Scripted::State& state) {
    Devices::Protocols out;
    out.push_back(std::make_unique<Scripted>(state));
    return out;
  }
  Asked asked(std::uint16_t mid, std::string_view payload = "body") {
    Asked out{.peer = peer};
    out.mid = mid;
    out.method = proto::Method::post;
    out.path = {"p", "x"};
    out.query = {{"ct", "30"}};
    out.payload = bytes(payload);
    out.base_url = "coap://gw";
    out.now = now;
    return out;
  }
  ExchangePtr ask(Asked request) {
    auto exchange = devices.ask(std::move(request));
    gateway.run_pending();
    return exchange;
  }

  Scripted::State script;
  FakeGateway gateway;
  NoGateway none;
  sdk::Host host{nullptr, {}};
  Peer peer;
  Devices::Clock::time_point now{};
  Devices devices{protocols(script), gateway, none, host, 1};
};

TEST_F(DevicesTest, ARequestReachesItsProtocolAndIsAnswered) {
  auto request = asked(1);
  request.format = 60;
  request.accept = 50;
  const auto exchange = ask(std::move(request));
  ASSERT_EQ(script.seen.size(), 1U);
  const auto& seen = script.seen.front();
  EXPECT_EQ(seen.path, "/p/x");
  EXPECT_EQ(seen.query, "ct=30;");
  EXPECT_EQ(seen.content_type, "application/cbor");
  EXPECT_EQ(seen.accept, "application/json");
  EXPECT_EQ(seen.body, "body");
  EXPECT_EQ(seen.base_url, "coap://gw");
  EXPECT_EQ(seen.principal, 0U);
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->code, code_of(2, 5));
  EXPECT_EQ(exchange->answer->format, 60);
  EXPECT_EQ(exchange->answer->max_age, 7U);
  EXPECT_EQ(exchange->answer->command, "dfu");
  EXPECT_EQ(*exchange->answer->body, "reply");
}

TEST_F(DevicesTest, ARepeatedRequestIsTheSameExchange) {
  const auto first = ask(asked(1));
  EXPECT_EQ(ask(asked(1)), first);
  EXPECT_EQ(script.seen.size(), 1U);
  // Another message id, another content or another peer: another request.
  EXPECT_NE(ask(asked(2)), first);
  EXPECT_NE(ask(asked(1, "other")), first);
  peer.port = 5001;
  EXPECT_NE(ask(asked(1)), first);
  EXPECT_EQ(script.seen.size(), 4U);
  // After a client's last repetition the number may stand for something else.
  peer.port = 5000;
  const auto second = ask(asked(3));
  now += Exchanges::kRemembered + seconds(1);
  devices.sweep(now);
  EXPECT_FALSE(devices.busy());
  EXPECT_NE(ask(asked(3)), second);
}

TEST_F(DevicesTest, ALateAnswerIsNews) {
  script.at_once.reset();
  const auto exchange = ask(asked(1));
  EXPECT_FALSE(exchange->answer);
  EXPECT_EQ(ask(asked(1)), exchange) << "it waits once";
  exchange->late = true;
  EXPECT_FALSE(devices.take_news());
  ASSERT_EQ(script.waiting.size(), 1U);
  script.waiting.front()(
      proto::Response{.status = 202, .content_type = {}, .headers = {}, .body = {}, .command = {}});
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->code, code_of(2, 4));
  EXPECT_TRUE(devices.take_news());
  EXPECT_FALSE(devices.take_news());
}

TEST_F(DevicesTest, WhoWaitsWhenTheGatewayStopsIsTold) {
  script.at_once.reset();
  const auto exchange = ask(asked(1));
  devices.refuse_waiting();
  ASSERT_TRUE(exchange->answer);
  EXPECT_EQ(exchange->answer->code, code_of(5, 3));
  // The protocol's own answer comes too late.
  script.waiting.front()(*std::optional(proto::Response{}));
  EXPECT_EQ(exchange->answer->code, code_of(5, 3));
}

TEST_F(DevicesTest, ABodyOfSeveralBlocksIsOneRequest) {
  const std::string part(16, 'a');
  auto first = asked(1, part);
  first.block1 = Block{.number = 0, .more = true, .szx = 0};
  EXPECT_EQ(ask(std::move(first))->answer->code, code_of(2, 31));
  EXPECT_TRUE(script.seen.empty());
  auto last = asked(2, "z");
  last.block1 = Block{.number = 1, .more = false, .szx = 0};
  EXPECT_EQ(ask(std::move(last))->answer->code, code_of(2, 5));
  ASSERT_EQ(script.seen.size(), 1U);
  EXPECT_EQ(script.seen.front().body, part + "z");
  auto stray = asked(3, "z");
  stray.block1 = Block{.number = 1, .more = false, .szx = 0};
  EXPECT_EQ(ask(std::move(stray))->answer->code, code_of(4, 8));
}

TEST_F(DevicesTest, TheRestOfAnAnswerIsKept) {
  const auto exchange = ask(asked(1));
  devices.keep(*exchange);
  auto next = asked(2, "");
  next.block2 = Block{.number = 1, .more = false, .szx = 0};
  EXPECT_EQ(*ask(std::move(next))->answer->body, "reply");
  EXPECT_EQ(script.seen.size(), 1U) << "the protocol is not asked again";
  auto other = asked(3, "");
  other.path = {"p", "y"};
  other.block2 = Block{.number = 1, .more = false, .szx = 0};
  EXPECT_EQ(ask(std::move(other))->answer->code, code_of(4, 8));
}

TEST_F(DevicesTest, ACredentialIsCheckedOnceForEachEpoch) {
  gateway.principals["sensor-1:pw"] = {.id = 4, .device = "sensor-1", .type = "t"};
  const std::string basic = "Basic c2Vuc29yLTE6cHc=";  // sensor-1:pw
  for (std::uint16_t mid = 1; mid <= 3; ++mid) {
    auto request = asked(mid);
    request.authorization = bytes(basic);
    EXPECT_EQ(ask(std::move(request))->answer->code, code_of(2, 5));
  }
  EXPECT_EQ(gateway.credentials_checked, 1);
  EXPECT_EQ(script.seen.back().principal, 4U);
  EXPECT_EQ(script.seen.back().device, "sensor-1");
  ++gateway.credentials_epoch;
  gateway.principals.clear();
  auto request = asked(9);
  request.authorization = bytes(basic);
  EXPECT_EQ(ask(std::move(request))->answer->code, code_of(4, 1));
  EXPECT_EQ(script.seen.size(), 3U);
}

TEST_F(DevicesTest, ADroguesDeviceIsKnownWithoutItsApplication) {
  gateway.principals["sensor-1:pw"] = {.id = 4, .device = "sensor-1", .type = ""};
  const std::string basic = "Basic c2Vuc29yLTFAZmxlZXQ6cHc=";  // sensor-1@fleet:pw
  auto request = asked(1);
  request.authorization = bytes(basic);
  EXPECT_EQ(ask(std::move(request))->answer->code, code_of(2, 5));
  EXPECT_EQ(gateway.credentials_checked, 2);
  const std::string wrong = "Basic c2Vuc29yLTFAZmxlZXQ6eHg=";
  auto other = asked(2);
  other.authorization = bytes(wrong);
  EXPECT_EQ(ask(std::move(other))->answer->code, code_of(4, 1));
  const std::string no_credential = "Digest x";
  auto third = asked(3);
  third.authorization = bytes(no_credential);
  EXPECT_EQ(ask(std::move(third))->answer->code, code_of(4, 1));
  EXPECT_EQ(script.seen.size(), 1U);
}

TEST_F(DevicesTest, WhatCannotBeReadOrFailsIsSaid) {
  auto format = asked(1);
  format.format = 10'000;
  EXPECT_EQ(ask(std::move(format))->answer->code, code_of(4, 15));
  auto accept = asked(2);
  accept.accept = 10'000;
  EXPECT_EQ(ask(std::move(accept))->answer->code, code_of(4, 6));
  EXPECT_TRUE(script.seen.empty());
  script.throws = true;
  EXPECT_EQ(ask(asked(3))->answer->code, code_of(5, 0));
  EXPECT_EQ(devices.protocol_for({"q"}), nullptr);
  EXPECT_NE(devices.protocol_for({"p"}), nullptr);
}

}  // namespace
}  // namespace otagate::coap
