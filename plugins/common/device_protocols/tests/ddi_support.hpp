// A DDI client and the gateway behind the protocol, for tests of its resources.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "common/device_protocols/ddi/ddi.hpp"
#include "ddi_gateway.hpp"

namespace otagate::plugins::devices {

inline constexpr char kSha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
inline constexpr char kSuccess[] = R"({"status":{"execution":"closed","result":{"finished":"success"}}})";
inline constexpr char kFailure[] =
    R"({"status":{"execution":"closed","result":{"finished":"failure"},"code":-3,"details":["flash","is full"]}})";

inline std::string saying(const std::string& execution, const std::string& progress = {}) {
  return R"({"status":{"execution":")" + execution + R"(","result":{"finished":"none")" +
         (progress.empty() ? "" : R"(,"progress":)" + progress) + "}}}";
}

class DdiTest : public ::testing::Test {
 protected:
  DdiTest() { ddi_.emplace(Ddi::Options{}); }

  static std::vector<std::string> segments(const std::string& path) {
    std::vector<std::string> out;
    std::istringstream in(path);
    for (std::string part; std::getline(in, part, '/');) out.push_back(part);
    return out;
  }

  // `path` is what follows the device's own; the request is gone when this returns.
  void send(Method method, const std::string& path, const std::string& body = {},
            const std::string& accept = "application/json") {
    answer_.reset();
    Request request;
    request.method = method;
    request.path = segments("DEFAULT/controller/v1/" + device_ + (path.empty() ? "" : "/" + path));
    const std::string sent(body), accepted(accept), peer("10.0.0.7"), base("http://gw:8080");
    request.body = sent;
    request.accept = accepted;
    request.peer = peer;
    request.base_url = base;
    request.content_type = content_type_;
    request.principal = 42;
    request.principal_type = "board";
    ASSERT_TRUE(ddi_->serves(request.path));
    ddi_->handle(request, gateway_, [this](Response response) {
      EXPECT_FALSE(answer_) << "answered twice";
      answer_ = std::move(response);
    });
  }
  const Response& asked(Method method, const std::string& path, const std::string& body = {}) {
    send(method, path, body);
    gateway_.run();
    EXPECT_TRUE(answer_) << path;
    if (!answer_) answer_.emplace();
    return *answer_;
  }
  const Response& get(const std::string& path) { return asked(Method::get, path); }
  const Response& post(const std::string& path, const std::string& body = {}) {
    return asked(Method::post, path, body);
  }
  const Response& put(const std::string& path, const std::string& body) {
    return asked(Method::put, path, body);
  }
  bool linked(const std::string& rel) {
    return get("").body.find("\"" + rel + "\":{\"href\"") != std::string::npos;
  }

  void offer(std::uint64_t attempt, std::size_t parts = 1) {
    sdk::Offer offer;
    offer.attempt = attempt;
    offer.next_after_ms = 60'000;
    const char* const components[] = {"application", "modem", "bootloader"};
    for (std::size_t i = 0; i < parts; ++i)
      offer.parts.push_back({100 + i, components[i], "app", "2.0", kSha256, {}, 1000 + i});
    gateway_.offer.value = offer;
  }
  void withdraw() { gateway_.offer.value = {}; }
  static sdk::Outcome<std::uint32_t> answering(std::uint32_t answer, std::uint32_t status = OTAGATE_OK) {
    sdk::Outcome<std::uint32_t> outcome;
    outcome.status = status;
    outcome.value = answer;
    return outcome;
  }

  std::string device_ = "dev1";
  std::string content_type_ = "application/json";
  DdiGateway gateway_;
  std::optional<Ddi> ddi_;
  std::optional<Response> answer_;
};

}  // namespace otagate::plugins::devices
