// A Drogue device and the gateway behind the protocol.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/cbor/decoder.hpp"
#include "common/device_protocols/drogue/drogue.hpp"
#include "common/device_protocols/drogue/exchange.hpp"
#include "common/device_protocols/drogue/message.hpp"
#include "common/device_protocols/drogue/text.hpp"
#include "common/testing/hex.hpp"
#include "scripted_gateway.hpp"

namespace otagate::plugins::devices {

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

}  // namespace otagate::plugins::devices
