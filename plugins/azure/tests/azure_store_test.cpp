#include "azure/azure_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <ctime>

#include "azure/answer.hpp"
#include "common/http_client/url.hpp"
#include "common/testing/fake_store_host.hpp"
#include "common/testing/scripted_server.hpp"

namespace otagate::azure {
namespace {

using otagate::testing::answer;
using otagate::testing::FakeStoreHost;
using otagate::testing::OptionValue;
using otagate::testing::ScriptedServer;
using otagate::testing::SeenRequest;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kKey[] = "bm90IGEga2V5IG9mIGFueWJvZHk=";
constexpr char kEmptyPage[] = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";

std::map<std::string, OptionValue> options(const std::string& endpoint,
                                           std::map<std::string, OptionValue> more = {}) {
  more.try_emplace("endpoint", endpoint + "acc");
  more.try_emplace("container", std::string("firmware"));
  more.try_emplace("account", std::string("acc"));
  if (!more.contains("client_id") && !more.contains("sas_token"))
    more.try_emplace("account_key", std::string(kKey));
  return more;
}

std::string error(int status, const std::string& code, const std::string& headers = "") {
  return answer(status, "<Error><Code>" + code + "</Code><Message>words\nRequestId:x</Message></Error>",
                headers);
}

std::string page(const std::string& names, const std::string& marker = "") {
  std::string out = "<EnumerationResults><Blobs>";
  for (const char name : names) {
    out += std::string("<Blob><Name>") + name +
           "</Name><Properties><Etag>e</Etag><Content-Length>1</Content-Length></Properties></Blob>";
  }
  return out + "</Blobs><NextMarker>" + marker + "</NextMarker></EnumerationResults>";
}

// What a strict server would compute from the request that arrived.
std::string expected_signature(const SeenRequest& seen) {
  const std::size_t question = seen.target.find('?');
  const std::string path = seen.target.substr(0, question);
  Signable what{seen.method, path, {}, {seen.headers.begin(), seen.headers.end()}, seen.body.size()};
  if (question != std::string::npos) {
    std::string query = seen.target.substr(question + 1) + "&";
    for (std::size_t at = 0, end = 0; (end = query.find('&', at)) != std::string::npos; at = end + 1) {
      const std::string pair = query.substr(at, end - at);
      const std::size_t equals = pair.find('=');
      what.query.emplace_back(common::percent_decode(pair.substr(0, equals)),
                              common::percent_decode(pair.substr(equals + 1)));
    }
  }
  return authorization(what, "acc", "not a key of anybody");
}

TEST(AzureStore, ListsPageByPageAndSignsEach) {
  ScriptedServer server([](const SeenRequest& r) {
    const bool second = r.target.find("marker=m%2F1%2B") != std::string::npos;
    return answer(200, second ? page("c") : page("ab", "m/1+"));
  });
  FakeStoreHost host(options(server.url(), {{"prefix", std::string("p q/")}, {"tags", true}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all(500);
  ASSERT_EQ(listed.status, OTAGATE_OK) << listed.message;
  ASSERT_EQ(listed.objects.size(), 3u);
  EXPECT_EQ(listed.objects[0].change_token, "e/1");
  EXPECT_FALSE(listed.objects[0].has_stat);
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 2u);
  for (const char* part : {"/acc/firmware?", "comp=list", "restype=container", "maxresults=500",
                           "include=metadata%2Ctags", "prefix=p%20q%2F"}) {
    EXPECT_THAT(seen[0].target, HasSubstr(part));
  }
  for (const SeenRequest& request : seen) {
    EXPECT_EQ(request.header("authorization"), expected_signature(request));
    EXPECT_EQ(request.header("x-ms-version"), kVersion);
  }
}

TEST(AzureStore, EndsAListingThatTurnsInCircles) {
  ScriptedServer server([](const SeenRequest&) { return answer(200, page("a", "same")); });
  FakeStoreHost host(options(server.url()));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list_all().status, OTAGATE_PERMANENT);
  EXPECT_LE(server.seen().size(), 3u);
}

TEST(AzureStore, GoesByAzuresCodeBeforeTheStatus) {
  const struct {
    int status;
    const char* code;
    std::uint32_t of_blob;
    std::uint32_t of_container;
  } cases[] = {
      {404, "BlobNotFound", OTAGATE_NOT_FOUND, OTAGATE_PERMANENT},
      {404, "ContainerNotFound", OTAGATE_PERMANENT, OTAGATE_PERMANENT},
      {403, "AuthenticationFailed", OTAGATE_DENIED, OTAGATE_DENIED},
      {400, "InvalidAuthenticationInfo", OTAGATE_DENIED, OTAGATE_DENIED},
      {409, "PublicAccessNotPermitted", OTAGATE_DENIED, OTAGATE_DENIED},
      {412, "ConditionNotMet", OTAGATE_CHANGED, OTAGATE_CHANGED},
      {412, "LeaseIdMissing", OTAGATE_PERMANENT, OTAGATE_PERMANENT},
      {409, "BlobArchived", OTAGATE_PERMANENT, OTAGATE_PERMANENT},
      {409, "ContainerBeingDeleted", OTAGATE_TRANSIENT, OTAGATE_TRANSIENT},
      {503, "ServerBusy", OTAGATE_THROTTLED, OTAGATE_THROTTLED},
      {500, "OperationTimedOut", OTAGATE_TRANSIENT, OTAGATE_TRANSIENT},
      {400, "SomethingNew", OTAGATE_INVALID, OTAGATE_PERMANENT},
  };
  for (const auto& c : cases) {
    ScriptedServer server([&](const SeenRequest&) { return error(c.status, c.code, "Retry-After: 17\r\n"); });
    FakeStoreHost host(options(server.url()));
    ASSERT_EQ(host.create().status, OTAGATE_OK);
    const auto fetched = host.fetch("k");
    EXPECT_EQ(fetched.status, c.of_blob) << c.code << " " << fetched.message;
    EXPECT_THAT(fetched.message, HasSubstr(c.code));
    EXPECT_THAT(fetched.message, Not(HasSubstr("RequestId")));
    EXPECT_EQ(fetched.retry_after_ms, 17'000u);
    EXPECT_EQ(host.list().status, c.of_container) << c.code;
    EXPECT_EQ(server.seen().size(), 2u);  // trying again is the gateway's
  }
}

TEST(AzureStore, TakesNoMoreThanItAskedForAndFollowsNobody) {
  ScriptedServer endless([](const SeenRequest&) {
    return "HTTP/1.1 206 Partial Content\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/1000\r\n\r\n" +
           std::string(2'000'000, 'x');
  });
  FakeStoreHost host(options(endless.url()));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto fetched = host.fetch("k", "e/1000", 0, 10);
  EXPECT_EQ(fetched.status, OTAGATE_OK) << fetched.message;
  EXPECT_EQ(fetched.bytes, "xxxxxxxxxx");

  ScriptedServer other([](const SeenRequest&) { return answer(200, kEmptyPage); });
  ScriptedServer sends(
      [&](const SeenRequest&) { return answer(302, "", "Location: " + other.url() + "\r\n"); });
  FakeStoreHost sent(options(sends.url()));
  ASSERT_EQ(sent.create().status, OTAGATE_OK);
  EXPECT_EQ(sent.list().status, OTAGATE_PERMANENT);
  EXPECT_TRUE(other.seen().empty());
}

TEST(AzureStore, ShowsNoSignatureThatSomebodyRepeats) {
  ScriptedServer server([](const SeenRequest& r) {
    return answer(403, "<Error><Code>AuthenticationFailed</Code><Message>no: " + r.target +
                           " c2VjcmV0LXNpZw==</Message></Error>");
  });
  FakeStoreHost host(
      options(server.url(), {{"sas_token", std::string("sv=1&sig=c2VjcmV0LXNpZw%3D%3D&sp=r")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto fetched = host.fetch("k");
  EXPECT_EQ(fetched.status, OTAGATE_DENIED);
  EXPECT_THAT(fetched.message, HasSubstr("'sas_token'"));
  EXPECT_THAT(fetched.message, Not(HasSubstr("c2VjcmV0")));
  EXPECT_EQ(server.seen().at(0).target, "/acc/firmware/k?sv=1&sig=c2VjcmV0LXNpZw%3D%3D&sp=r");
  EXPECT_FALSE(host.caps().flags & OTAGATE_STORE_PRESIGN);
  EXPECT_EQ(host.presign("k", "", false, 1000).status, OTAGATE_UNSUPPORTED);
}

TEST(AzureStore, SignsWithTheServersTimeAfterItRefusedOurs) {
  const std::time_t real = std::time(nullptr);
  ScriptedServer server([&](const SeenRequest& r) {
    const std::string date = "Date: " + rfc1123_date(real) + "\r\n";
    const bool good = r.header("x-ms-date").substr(0, 16) == rfc1123_date(real).substr(0, 16);
    return good ? answer(200, kEmptyPage, date) : error(403, "AuthenticationFailed", date);
  });
  FakeStoreHost host(options(server.url()));
  host.clock_offset_ms = -std::int64_t{real} * 1000;  // 1970
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto refused = host.list();
  EXPECT_EQ(refused.status, OTAGATE_CLOCK);
  EXPECT_THAT(refused.message, HasSubstr("clock"));
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(server.seen().size(), 2u);
}

TEST(AzureStore, BelievesNoTimeOfAPeerThatMayBeAnybody) {
  ScriptedServer proxy([](const SeenRequest&) {
    return error(403, "AuthenticationFailed", "Date: Sun, 06 Nov 2044 08:49:37 GMT\r\n");
  });
  FakeStoreHost host(options("http://store.invalid/", {{"proxy", proxy.url("")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_CLOCK);
  EXPECT_EQ(host.list().status, OTAGATE_CLOCK);
  EXPECT_THAT(proxy.seen().at(1).header("x-ms-date"), Not(HasSubstr("2044")));
}

TEST(AzureStore, PresignsAfterAskingForTheBlobOnce) {
  ScriptedServer server([](const SeenRequest&) {
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"t\"\r\n\r\n");
  });
  FakeStoreHost host(options(server.url()));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto get = host.presign("a b", "t/5", false, 60'000);
  ASSERT_EQ(get.status, OTAGATE_OK) << get.message;
  EXPECT_THAT(get.bytes, StartsWith(server.url("/acc/firmware/a%20b?se=")));
  EXPECT_THAT(get.bytes, HasSubstr("&sig="));
  EXPECT_EQ(host.presign("a b", "t/5", true, 60'000).status, OTAGATE_OK);
  EXPECT_EQ(server.seen().size(), 1u);
  EXPECT_EQ(host.presign("a b", "old/5", false, 60'000).status, OTAGATE_CHANGED);
}

TEST(AzureStore, GivesNoUrlOfAStoreThatIsAway) {
  FakeStoreHost host(options("http://127.0.0.1:1/"));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.presign("k", "t/5", false, 60'000).status, OTAGATE_TRANSIENT);
}

TEST(AzureStore, PublishesWhatTheDigestSaysOnly) {
  ScriptedServer server([](const SeenRequest&) { return answer(201, "", "ETag: \"new\"\r\n"); });
  std::FILE* file = std::tmpfile();
  std::fputs("abc", file);
  std::fflush(file);
  const std::string sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  FakeStoreHost host(options(server.url(), {{"publish", true}, {"prefix", std::string("fw/")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto made = host.publish(fileno(file), 3, sha256, "", {{"name", "probe"}, {"version", "1.0.0"}});
  ASSERT_EQ(made.status, OTAGATE_OK) << made.message;
  EXPECT_EQ(made.objects.at(0).key, "fw/probe/probe-1.0.0-ba7816bf8f01.bin");
  EXPECT_EQ(made.objects.at(0).change_token, "new/3");
  const SeenRequest put = server.seen().at(0);
  EXPECT_EQ(put.method, "PUT");
  EXPECT_EQ(put.body, "abc");
  EXPECT_EQ(put.header("x-ms-blob-type"), "BlockBlob");
  EXPECT_EQ(put.header("content-md5"), "kAFQmDzST7DWlj99KOF/cg==");
  EXPECT_EQ(put.header("x-ms-meta-sha256"), sha256);
  EXPECT_EQ(put.header("authorization"), expected_signature(put));
  EXPECT_EQ(host.publish(fileno(file), 3, std::string(64, 'a'), "k", {}).status, OTAGATE_INVALID);
  EXPECT_EQ(host.publish(fileno(file), 4, sha256, "k", {}).status, OTAGATE_INVALID);
  for (const sdk::Pairs& bad : {sdk::Pairs{{"name", "a\r\nb"}}, sdk::Pairs{{"na-me", "x"}},
                                sdk::Pairs{{"n", "ü"}}, sdk::Pairs{{"1n", "x"}}, sdk::Pairs{{"n", " x"}}}) {
    EXPECT_EQ(host.publish(fileno(file), 3, sha256, "k", bad).status, OTAGATE_INVALID);
  }
  EXPECT_EQ(server.seen().size(), 1u);
  std::fclose(file);
}

// A token endpoint and a Blob service in one; `good` is the token that the latter takes.
struct Entra {
  std::atomic<int> given = 0;
  std::atomic<int> good = 1;
  std::string lifetime = "3599";
  ScriptedServer server{[this](const SeenRequest& r) {
    if (r.method == "POST") {
      EXPECT_THAT(r.body, HasSubstr("client_secret=s%26%2B&"));
      return answer(200, R"({"token_type":"Bearer","expires_in":)" + lifetime + R"(,"access_token":"token-)" +
                             std::to_string(++given) + "\"}");
    }
    if (r.header("authorization") != "Bearer token-" + std::to_string(good))
      return error(401, "InvalidAuthenticationInfo");
    return answer(200, kEmptyPage);
  }};
  std::map<std::string, OptionValue> options() {
    return azure::options(server.url(), {{"client_id", std::string("id")},
                                         {"client_secret", std::string("s&+")},
                                         {"token_endpoint", server.url("/token")}});
  }
};

TEST(AzureEntra, KeepsATokenAndFetchesAnotherWhenItIsRefused) {
  Entra entra;
  FakeStoreHost host(entra.options());
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(entra.given, 1);
  entra.good = 2;
  const auto refused = host.list();
  EXPECT_EQ(refused.status, OTAGATE_TRANSIENT) << refused.message;
  EXPECT_THAT(refused.message, Not(HasSubstr("token-1")));
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(entra.given, 2);
}

TEST(AzureEntra, CallsATokenThatWasNeverTakenDenied) {
  Entra entra;
  entra.good = 99;
  FakeStoreHost host(entra.options());
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_DENIED);
  EXPECT_EQ(host.list().status, OTAGATE_DENIED);
}

TEST(AzureEntra, AsksAgainForATokenThatHasEnded) {
  Entra entra;
  entra.lifetime = "\"0\"";
  FakeStoreHost host(entra.options());
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  entra.good = 2;
  EXPECT_EQ(host.list().status, OTAGATE_OK);
}

TEST(AzureEntra, SaysWhyThereIsNoToken) {
  const struct {
    std::string answer;
    std::uint32_t status;
    const char* expected;
  } cases[] = {
      {answer(401, R"({"error":"invalid_client","error_description":"AADSTS7000215: bad\r\nTrace"})"),
       OTAGATE_DENIED, "AADSTS7000215"},
      {answer(503, R"({"error":"temporarily_unavailable"})"), OTAGATE_TRANSIENT, "temporarily"},
      {answer(404, "no"), OTAGATE_PERMANENT, "'tenant'"},
      {answer(302, "", "Location: http://elsewhere.example/\r\n"), OTAGATE_PERMANENT, "302"},
      {answer(200, "no JSON"), OTAGATE_PERMANENT, "'token_endpoint'"},
      {answer(200, R"({"access_token":"a\r\nb"})"), OTAGATE_PERMANENT, "'token_endpoint'"},
  };
  for (const auto& c : cases) {
    ScriptedServer server([&](const SeenRequest&) { return c.answer; });
    FakeStoreHost host(options(server.url(), {{"client_id", std::string("id")},
                                              {"client_secret", std::string("s&+")},
                                              {"token_endpoint", server.url("/token")}}));
    ASSERT_EQ(host.create().status, OTAGATE_OK);
    const auto listed = host.list();
    EXPECT_EQ(listed.status, c.status) << listed.message;
    EXPECT_THAT(listed.message, HasSubstr(c.expected));
    EXPECT_THAT(listed.message, Not(HasSubstr("s&+")));
    EXPECT_EQ(server.seen().size(), 1u);
  }
}

}  // namespace
}  // namespace otagate::azure
