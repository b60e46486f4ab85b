#include "common/http_client/http_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "common/testing/scripted_server.hpp"

namespace otagate::common {
namespace {

using otagate::testing::answer;
using otagate::testing::ScriptedServer;
using otagate::testing::SeenRequest;
using otagate::testing::TestCertificate;
using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<HttpClient> client(HttpClientOptions options = {}) {
  return std::move(HttpClient::create(std::move(options)).value());
}

HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  return request;
}

std::string temp_file(const std::string& name) { return ::testing::TempDir() + "otg-http-" + name; }

TEST(HttpClient, KeepsItsConnectionWarm) {
  ScriptedServer server([](const SeenRequest& r) { return answer(200, r.target); });
  const auto http = client();
  for (int i = 0; i < 5; ++i) {
    const auto response = http->perform(get(server.url("/" + std::to_string(i))));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "/" + std::to_string(i));
    EXPECT_TRUE(response->peer_trusted);
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, OpensAConnectionPerParallelAttempt) {
  std::promise<void> both;
  std::shared_future<void> gate = both.get_future().share();
  std::atomic<int> waiting = 0;
  ScriptedServer server([&](const SeenRequest&) {
    if (++waiting == 2) both.set_value();
    gate.wait();
    return answer(200, "x");
  });
  const auto http = client();
  auto first = std::async(std::launch::async, [&] { return http->perform(get(server.url())).has_value(); });
  EXPECT_TRUE(http->perform(get(server.url())));
  EXPECT_TRUE(first.get());
  EXPECT_EQ(server.connections(), 2);
}

TEST(HttpClient, SurvivesAKeptConnectionThatDied) {
  ScriptedServer server([](const SeenRequest&) { return std::string("HTTP/1.1 200 OK\r\n\r\nbody"); });
  const auto http = client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http->perform(get(server.url()))->body, "body");
}

TEST(HttpClient, SendsThePathAsItIs) {
  ScriptedServer server([](const SeenRequest&) { return answer(200); });
  ASSERT_TRUE(client()->perform(get(server.url("/b/../a%20b/%2B/./x?q=%2F"))));
  EXPECT_EQ(server.seen().at(0).target, "/b/../a%20b/%2B/./x?q=%2F");
}

TEST(HttpClient, StreamsTheBodyAndCanStop) {
  const std::string body(3'000'000, 'x');
  ScriptedServer server([&](const SeenRequest&) { return answer(200, body, "ETag: \"e\"\r\n"); });
  const auto http = client();
  std::size_t got = 0;
  bool head_first = false;
  HttpRequest request = get(server.url());
  request.on_head = [&](const HttpHead& head) {
    head_first = got == 0 && *head.find("etag") == "\"e\"";
    return true;
  };
  request.on_body = [&](std::span<const char> bytes) {
    got += bytes.size();
    return true;
  };
  ASSERT_TRUE(http->perform(request));
  EXPECT_TRUE(head_first);
  EXPECT_EQ(got, body.size());

  got = 0;
  request.on_body = [&](std::span<const char> bytes) {
    got += bytes.size();
    return false;
  };
  const auto stopped = http->perform(request);
  ASSERT_TRUE(stopped);
  EXPECT_TRUE(stopped->stopped);
  EXPECT_LT(got, body.size());
}

TEST(HttpClient, ReportsABodyThatEndsEarly) {
  ScriptedServer server(
      [](const SeenRequest&) { return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"); });
  const auto response = client()->perform(get(server.url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_TRANSIENT);
}

TEST(HttpClient, SendsABodyFromMemoryAndFromAFile) {
  ScriptedServer server([](const SeenRequest&) { return answer(200); });
  const auto http = client();
  HttpRequest request = get(server.url());
  request.method = "PUT";
  request.body = HttpBody{"hello", -1, 5};
  ASSERT_TRUE(http->perform(request));
  const std::string path = temp_file("body");
  const std::string bytes(2'000'000, 'b');
  std::FILE* file = std::fopen(path.c_str(), "w+");
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fflush(file);
  request.body = HttpBody{{}, fileno(file), bytes.size()};
  ASSERT_TRUE(http->perform(request));
  request.body->size += 1;
  const auto too_short = http->perform(request);
  ASSERT_FALSE(too_short);
  EXPECT_EQ(too_short.error().status, OTAGATE_INTERNAL);
  std::fclose(file);
  EXPECT_EQ(server.seen().at(0).body, "hello");
  EXPECT_EQ(server.seen().at(1).body, bytes);
  EXPECT_FALSE(server.seen().at(1).has("expect"));
}

TEST(HttpClient, CutsTheBodyOfAnError) {
  ScriptedServer server([](const SeenRequest&) { return answer(404, std::string(100'000, 'e')); });
  const auto http = client();
  const auto response = http->perform(get(server.url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->head.status, 404);
  EXPECT_EQ(response->body.size(), kMaxErrorBody);
  ASSERT_TRUE(http->perform(get(server.url())));
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpClient, DoesNotReadAnErrorWithoutEnd) {
  ScriptedServer server([](const SeenRequest&) { return answer(500, std::string(20'000'000, 'e')); });
  const auto response = client()->perform(get(server.url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->head.status, 500);
  EXPECT_EQ(response->body.size(), kMaxErrorBody);
}

TEST(HttpClient, BoundsWhatAnAnswerMayHold) {
  std::string many;
  for (int i = 0; i < 300; ++i) many += "X-" + std::to_string(i) + ": v\r\n";
  ScriptedServer server([&](const SeenRequest& r) {
    if (r.target == "/many") return answer(200, "", many);
    if (r.target == "/long") return answer(200, "", "X: " + std::string(70'000, 'h') + "\r\n");
    return answer(200, std::string(3000, 'b'));
  });
  const auto http = client();
  EXPECT_EQ(http->perform(get(server.url("/many"))).error().status, OTAGATE_PERMANENT);
  EXPECT_FALSE(http->perform(get(server.url("/long"))));
  HttpRequest request = get(server.url("/body"));
  request.max_body = 2999;
  EXPECT_EQ(http->perform(request).error().status, OTAGATE_PERMANENT);
  request.max_body = 3000;
  EXPECT_TRUE(http->perform(request));
}

TEST(HttpClient, EndsWhenThePeerFallsSilent) {
  std::promise<void> release;
  ScriptedServer server([&, gate = release.get_future().share()](const SeenRequest&) {
    gate.wait();
    return answer(200);
  });
  const auto http = client({.idle_timeout_ms = 300});
  const auto response = http->perform(get(server.url()));
  release.set_value();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_TRANSIENT);
  EXPECT_THAT(response.error().message, HasSubstr("300 ms"));
}

TEST(HttpClient, TimeInTheCallbackIsNotThePeers) {
  ScriptedServer server([](const SeenRequest&) { return answer(200, std::string(300'000, 'x')); });
  const auto http = client({.idle_timeout_ms = 100, .low_speed = 1000});
  HttpRequest request = get(server.url());
  int calls = 0;
  std::promise<void> never;
  request.on_body = [&](std::span<const char>) {
    if (++calls <= 2) never.get_future().wait_for(std::chrono::milliseconds(250));
    never = {};
    return true;
  };
  const auto response = http->perform(request);
  EXPECT_TRUE(response) << response.error().message;
}

TEST(HttpClient, CancelsWithinAPoll) {
  std::promise<void> release;
  ScriptedServer server([&, gate = release.get_future().share()](const SeenRequest&) {
    gate.wait();
    return answer(200);
  });
  HttpRequest request = get(server.url());
  std::atomic<bool> cancel = false;
  request.cancelled = [&] { return cancel.load(); };
  const auto http = client();
  auto result = std::async(std::launch::async, [&] { return http->perform(request); });
  EXPECT_EQ(result.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  const auto before = std::chrono::steady_clock::now();
  cancel = true;
  const auto response = result.get();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  release.set_value();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_CANCELLED);
}

TEST(HttpClient, RefusesHeadersWithLineBreaks) {
  HttpRequest request = get("http://127.0.0.1:1/");
  for (const HttpHeader& header :
       {HttpHeader{"X", "a\r\nEvil: 1"}, HttpHeader{"X: y", "a"}, HttpHeader{"", "a"}}) {
    request.headers = {header};
    EXPECT_EQ(client()->perform(request).error().status, OTAGATE_INVALID);
  }
}

TEST(HttpClient, IsNotTalkedIntoAnotherProtocol) {
  EXPECT_EQ(client()->perform(get("file:///etc/passwd")).error().status, OTAGATE_INVALID);
}

TEST(HttpClient, GivesRedirectsToTheCallerUnlessTold) {
  ScriptedServer server([](const SeenRequest&) { return answer(307, "", "Location: /else\r\n"); });
  const auto response = client()->perform(get(server.url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->head.status, 307);
  EXPECT_EQ(server.seen().size(), 1u);
}

TEST(HttpClient, KeepsOriginHeadersFromAnotherHost) {
  ScriptedServer target([](const SeenRequest&) { return answer(200, "there"); });
  ScriptedServer server([&](const SeenRequest& r) {
    return answer(302, "", "Location: " + (r.target == "/own" ? "/other" : target.url("/there")) + "\r\n");
  });
  HttpRequest request = get(server.url("/own"));
  request.max_redirects = 2;
  request.headers = {{"Authorization", "secret"}, {"Range", "bytes=0-1", false}};
  bool heads = false;
  request.on_head = [&](const HttpHead& head) { return heads = head.status == 200; };
  const auto response = client()->perform(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "there");
  EXPECT_TRUE(heads);
  EXPECT_EQ(server.seen().at(1).header("authorization"), "secret");
  EXPECT_FALSE(target.seen().at(0).has("authorization"));
  EXPECT_EQ(target.seen().at(0).header("range"), "bytes=0-1");
}

TEST(HttpClient, EndsARedirectLoop) {
  ScriptedServer server([](const SeenRequest&) { return answer(302, "", "Location: /\r\n"); });
  HttpRequest request = get(server.url());
  request.max_redirects = 3;
  EXPECT_EQ(client()->perform(request)->head.status, 302);
  EXPECT_EQ(server.seen().size(), 4u);
}

TEST(HttpClient, VerifiesTlsAgainstItsOwnCaFile) {
  const std::string ca = temp_file("ca.pem");
  const TestCertificate certificate(ca);
  ScriptedServer server([](const SeenRequest&) { return answer(200, "tls"); }, &certificate);
  const auto response = client({.ca_file = ca})->perform(get(server.url()));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "tls");
  EXPECT_TRUE(response->peer_trusted);

  const auto unknown = client()->perform(get(server.url()));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().status, OTAGATE_PERMANENT);
  EXPECT_THAT(unknown.error().message, HasSubstr("ca_file"));
}

TEST(HttpClient, RefusesACertificateOfAnotherHost) {
  const std::string ca = temp_file("other.pem");
  const TestCertificate certificate(ca, -1, 10, "DNS:elsewhere.example");
  ScriptedServer server([](const SeenRequest&) { return answer(200); }, &certificate);
  EXPECT_EQ(client({.ca_file = ca})->perform(get(server.url())).error().status, OTAGATE_PERMANENT);
  EXPECT_TRUE(server.seen().empty());
}

TEST(HttpClient, SaysThatTheClockIsWrongWhenACertificateIsNotValidYet) {
  const std::string ca = temp_file("future.pem");
  const TestCertificate certificate(ca, 5, 10);
  ScriptedServer server([](const SeenRequest&) { return answer(200); }, &certificate);
  const auto response = client({.ca_file = ca})->perform(get(server.url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_CLOCK) << response.error().message;
}

TEST(HttpClient, NamesACaFileThatCannotBeRead) {
  const TestCertificate certificate(temp_file("unread.pem"));
  ScriptedServer server([](const SeenRequest&) { return answer(200); }, &certificate);
  const auto response = client({.ca_file = "/nowhere/ca.pem"})->perform(get(server.url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_INVALID);
  EXPECT_THAT(response.error().message, HasSubstr("/nowhere/ca.pem"));
}

TEST(HttpClient, GoesThroughTheProxyAndIgnoresTheEnvironments) {
  ScriptedServer proxy([](const SeenRequest& r) { return answer(200, r.target); });
  const auto response = client({.proxy = proxy.url("")})->perform(get("http://store.invalid/key"));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "http://store.invalid/key");
  EXPECT_FALSE(response->peer_trusted);

  setenv("http_proxy", proxy.url("").c_str(), 1);
  ScriptedServer direct([](const SeenRequest& r) { return answer(200, r.target); });
  EXPECT_EQ(client()->perform(get(direct.url("/key")))->body, "/key");
  unsetenv("http_proxy");
  EXPECT_FALSE(HttpClient::create({.proxy = "ftp://proxy"}));
}

TEST(HttpClient, ShowsNoSignatureInAFailure) {
  const auto response = client()->perform(get("http://127.0.0.1:1/key?X-Amz-Signature=feedbeef"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().status, OTAGATE_TRANSIENT);
  EXPECT_THAT(response.error().message, Not(HasSubstr("feedbeef")));
  EXPECT_THAT(response.error().message, HasSubstr("http://127.0.0.1:1/key"));
}

}  // namespace
}  // namespace otagate::common
