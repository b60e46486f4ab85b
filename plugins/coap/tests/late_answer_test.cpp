// Answers of device protocols that take a while, on the wire: a real libcoap context, a real socket.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>

#include <gtest/gtest.h>

#include "endpoint.hpp"
#include "fake_gateway.hpp"
#include "problem.hpp"
#include "responder.hpp"
#include "scripted_protocol.hpp"
#include "support/skip.hpp"

namespace otagate::coap {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Datagram = std::vector<std::uint8_t>;

constexpr std::uint8_t kCon = 0x40, kNon = 0x50, kAck = 0x60, kPost = 2;

// POST /p, a token of one byte.
Datagram post(std::uint8_t type, std::uint8_t mid) {
  return {static_cast<std::uint8_t>(type | 1), kPost, 0, mid, 0xAA, 0xB1, 'p', 0xFF, 'x'};
}

class LateAnswerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why, bound;
    context = make_context(64, std::chrono::seconds(30), why);
    ASSERT_TRUE(context) << why;
    settings.listen = *parse_listen("127.0.0.1:0");
    Devices::Protocols protocols;
    protocols.push_back(std::make_unique<Scripted>(script));
    responder = std::make_unique<Responder>(settings, gateway, none, std::move(protocols), host);
    responder->attach(context.get());
    ASSERT_TRUE(open_endpoint(context.get(), settings.listen, 65536, bound, why)) << why;
    port = bound.substr(bound.rfind(':') + 1);
    client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  void TearDown() override {
    close(client);
    responder->release();
    context.reset();
    responder.reset();
  }

  void tell(const Datagram& message) {
    ASSERT_EQ(send(client, message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
  }
  // As the listener's loop does, until `done` or `limit`.
  template <class Done>
  bool run_until(Done done, milliseconds limit) {
    const auto end = Clock::now() + limit;
    while (!done()) {
      if (Clock::now() >= end) return false;
      responder->after_events();
      pollfd ready{.fd = coap_context_get_coap_fd(context.get()), .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, 5) > 0) coap_io_process(context.get(), COAP_IO_NO_WAIT);
      responder->after_events();
    }
    return true;
  }
  // What comes back within the time; empty: nothing.
  Datagram hear(milliseconds limit) {
    Datagram out;
    run_until(
        [&] {
          std::array<std::uint8_t, 2048> buffer;
          const auto size = recv(client, buffer.data(), buffer.size(), 0);
          if (size > 0) out.assign(buffer.begin(), buffer.begin() + size);
          return size > 0;
        },
        limit);
    return out;
  }
  void answer(const char* body) {
    ASSERT_FALSE(script.waiting.empty());
    auto respond = std::move(script.waiting.front());
    script.waiting.pop_front();
    respond(proto::Response{
        .status = 200, .content_type = "application/cbor", .headers = {}, .body = body, .command = "dfu"});
  }
  bool asked(std::size_t times) {
    return run_until([&] { return script.seen.size() >= times; }, milliseconds(2000));
  }

  Settings settings;
  Scripted::State script;
  FakeGateway gateway;
  NoGateway none;
  sdk::Host host{nullptr, {}};
  ContextPtr context;
  std::unique_ptr<Responder> responder;
  std::string port;
  int client = -1;
};

TEST_F(LateAnswerTest, AnAnswerThatComesSoonIsTheAcknowledgement) {
  tell(post(kCon, 1));
  ASSERT_TRUE(asked(1));
  EXPECT_TRUE(hear(milliseconds(300)).empty()) << "nothing before there is something to say";
  answer("soon");
  const auto got = hear(milliseconds(1000));
  ASSERT_GE(got.size(), 5U);
  EXPECT_EQ(got[0], kAck | 1);
  EXPECT_EQ(got[1], code_of(2, 5));
  EXPECT_EQ(got[3], 1) << "the request's own message id";
  EXPECT_EQ(got[4], 0xAA);
  EXPECT_TRUE(std::string(got.begin(), got.end()).ends_with("soon"));
  EXPECT_NE(std::string(got.begin(), got.end()).find("dfu"), std::string::npos);
  // A copy of the request that comes late gets the same, and the protocol is not asked again.
  tell(post(kCon, 1));
  EXPECT_EQ(hear(milliseconds(1000)), got);
  EXPECT_EQ(script.seen.size(), 1U);
}

TEST_F(LateAnswerTest, AnAnswerThatTakesLongIsOneOfItsOwn) {
  tell(post(kCon, 2));
  ASSERT_TRUE(asked(1));
  const auto begin = Clock::now();
  const auto acknowledged = hear(milliseconds(3000));
  EXPECT_EQ(acknowledged, (Datagram{kAck, 0, 0, 2}));
  EXPECT_LT(Clock::now() - begin, milliseconds(2000)) << "before the client repeats itself";
  tell(post(kCon, 2));
  EXPECT_EQ(hear(milliseconds(1000)), (Datagram{kAck, 0, 0, 2})) << "as often as it asks";
  answer("late");
  const auto got = hear(milliseconds(1000));
  ASSERT_GE(got.size(), 5U);
  EXPECT_EQ(got[0], kCon | 1);
  EXPECT_EQ(got[1], code_of(2, 5));
  EXPECT_EQ(got[4], 0xAA);
  EXPECT_TRUE(std::string(got.begin(), got.end()).ends_with("late"));
  tell({kAck, 0, got[2], got[3]});
  EXPECT_TRUE(hear(milliseconds(200)).empty());
  EXPECT_EQ(script.seen.size(), 1U);
}

TEST_F(LateAnswerTest, AClientThatRepeatsItselfEarlyIsAcknowledgedAtOnce) {
  tell(post(kCon, 3));
  ASSERT_TRUE(asked(1));
  tell(post(kCon, 3));
  EXPECT_EQ(hear(milliseconds(500)), (Datagram{kAck, 0, 0, 3}));
  answer("then");
  const auto got = hear(milliseconds(1000));
  ASSERT_GE(got.size(), 5U);
  EXPECT_EQ(got[0], kCon | 1);
}

TEST_F(LateAnswerTest, ARequestThatNeedsNoAcknowledgementGetsNone) {
  tell(post(kNon, 4));
  ASSERT_TRUE(asked(1));
  EXPECT_TRUE(hear(milliseconds(1600)).empty());
  answer("non");
  const auto got = hear(milliseconds(1000));
  ASSERT_GE(got.size(), 5U);
  EXPECT_EQ(got[0], kNon | 1);
  EXPECT_EQ(got[1], code_of(2, 5));
}

TEST_F(LateAnswerTest, WhoWaitsWhenTheGatewayStopsGets503) {
  tell(post(kCon, 5));
  ASSERT_TRUE(asked(1));
  responder->drain();
  const auto got = hear(milliseconds(1000));
  ASSERT_GE(got.size(), 4U);
  EXPECT_EQ(got[0], kAck | 1);
  EXPECT_EQ(got[1], code_of(5, 3));
}

// libcoap's own client takes an answer of its own to a POST.
TEST_F(LateAnswerTest, LibcoapsClientWaitsForALateAnswer) {
  if (std::system("command -v coap-client-notls >/dev/null 2>&1") != 0)
    OTAGATE_SKIP("coap-client-notls is missing: install libcoap3-bin");
  auto printed = std::async(std::launch::async, [this] {
    const std::string command =
        "coap-client-notls -B 10 -m post -e x coap://127.0.0.1:" + port + "/p 2>/dev/null";
    std::string out;
    FILE* const pipe = popen(command.c_str(), "r");
    std::array<char, 256> buffer;
    while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe) != nullptr) out += buffer.data();
    if (pipe != nullptr) pclose(pipe);
    return out;
  });
  ASSERT_TRUE(asked(1));
  run_until([] { return false; }, milliseconds(2500));
  answer("patience");
  EXPECT_TRUE(run_until([&] { return printed.wait_for(milliseconds(0)) == std::future_status::ready; },
                        milliseconds(9000)));
  EXPECT_NE(printed.get().find("patience"), std::string::npos);
  EXPECT_EQ(script.seen.size(), 1U);
}

}  // namespace
}  // namespace otagate::coap
