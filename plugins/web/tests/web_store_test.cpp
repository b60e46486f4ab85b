#include "web/web_store.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "common/testing/fake_store_host.hpp"
#include "common/testing/scripted_server.hpp"

namespace otagate::web {
namespace {

using testing::answer;
using testing::FakeStoreHost;
using testing::ScriptedServer;
using testing::SeenRequest;

using Options = std::map<std::string, testing::OptionValue>;

Options at(const ScriptedServer& server, Options more = {}) {
  more["index_url"] = server.url("/fw/index.json");
  return more;
}

void create(FakeStoreHost& host) {
  const auto created = host.create();
  ASSERT_EQ(created.status, OTAGATE_OK) << created.message;
}

constexpr char kNoDigest[] = R"([{"url":"x.bin","name":"x","version":"1.0.0"}])";

// A server with an index of one object without digest, whose answers otherwise are the test's.
ScriptedServer::Handler with_object(std::function<std::string(const SeenRequest&)> object,
                                    std::string index = kNoDigest) {
  return [object = std::move(object), index = std::move(index)](const SeenRequest& seen) {
    return seen.target == "/fw/index.json" ? answer(200, index) : object(seen);
  };
}

// HEAD has no body; its Content-Length is the GET's.
std::string head_answer(std::size_t size, const std::string& headers) {
  return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(size) + "\r\n\r\n";
}

constexpr char kWeak[] = "ETag: W/\"1\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
constexpr char kWeakLater[] = "ETag: W/\"1\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:01 GMT\r\n";

TEST(WebStore, NeitherSendsNorTrustsAWeakTag) {
  std::atomic<bool> changed = false;
  ScriptedServer server(with_object([&](const SeenRequest& seen) {
    const std::string headers = changed ? kWeakLater : kWeak;
    return seen.method == "HEAD" ? head_answer(5, headers) : answer(200, "hello", headers);
  }));
  FakeStoreHost host(at(server));
  create(host);
  const auto listed = host.list_all();
  ASSERT_EQ(listed.objects.size(), 1u) << listed.message;
  EXPECT_EQ(listed.objects[0].change_token, "date:1445412480/5");
  EXPECT_FALSE(listed.objects[0].ranges);
  const auto good = host.fetch("x.bin", listed.objects[0].change_token);
  EXPECT_EQ(good.bytes, "hello") << good.message;
  changed = true;
  const auto other = host.fetch("x.bin", listed.objects[0].change_token);
  EXPECT_EQ(other.status, OTAGATE_CHANGED);
  EXPECT_EQ(other.bytes, "");
  for (const SeenRequest& seen : server.seen()) EXPECT_FALSE(seen.has("if-match")) << seen.target;
}

TEST(WebStore, SendsAStrongTagAndComparesItAllTheSame) {
  std::atomic<int> gets = 0;
  ScriptedServer server(with_object([&](const SeenRequest& seen) {
    if (seen.method == "HEAD") return head_answer(5, "ETag: \"1\"\r\nAccept-Ranges: bytes\r\n");
    return answer(200, "hello", ++gets == 1 ? "ETag: \"1\"\r\n" : "ETag: \"2\"\r\n");  // deaf to If-Match
  }));
  FakeStoreHost host(at(server));
  create(host);
  const auto listed = host.list_all();
  ASSERT_EQ(listed.objects.size(), 1u) << listed.message;
  EXPECT_TRUE(listed.objects[0].ranges);
  const std::string token = listed.objects[0].change_token;
  EXPECT_EQ(token, "etag:\"1\"/5");
  EXPECT_EQ(host.fetch("x.bin", token).bytes, "hello");
  EXPECT_EQ(host.fetch("x.bin", token).status, OTAGATE_CHANGED);
  EXPECT_EQ(server.seen().back().header("if-match"), "\"1\"");
}

TEST(WebStore, TakesWhatFitsFromAServerThatIgnoresRanges) {
  const std::string digest(64, 'a');
  ScriptedServer server(with_object(
      [](const SeenRequest& seen) {
        return seen.method == "HEAD" ? head_answer(10, "Accept-Ranges: bytes\r\n")
                                     : answer(200, "0123456789");
      },
      R"([{"url":"x.bin","sha256":")" + digest + R"(","size":10}])"));
  FakeStoreHost host(at(server));
  create(host);
  const auto listed = host.list_all();
  ASSERT_EQ(listed.objects.size(), 1u) << listed.message;
  EXPECT_TRUE(listed.objects[0].ranges);
  const std::string token = listed.objects[0].change_token;
  EXPECT_EQ(host.fetch("x.bin", token, 0, 3).bytes, "012");
  EXPECT_EQ(host.fetch("x.bin", token, 4, 3).bytes, "456");
  EXPECT_EQ(host.fetch("x.bin", token, 8, 300).bytes, "89");
  const auto beyond = host.fetch("x.bin", token, 10, 3);
  EXPECT_EQ(beyond.status, OTAGATE_OK) << beyond.message;
  EXPECT_EQ(beyond.bytes, "");
  EXPECT_FALSE(host.list_all().objects[0].ranges);
}

// Two servers behind one name with different states: a digest says nothing about ranges of it.
TEST(WebStore, HoldsRangesOfADigestAgainstTheFirst) {
  std::atomic<int> gets = 0;
  ScriptedServer server(with_object(
      [&](const SeenRequest& seen) {
        if (seen.method == "HEAD") return head_answer(10, "Accept-Ranges: bytes\r\n");
        const std::string range = seen.header("range").substr(6);
        return answer(
            206, "01234",
            "Content-Range: bytes " + range + "/10\r\nETag: W/\"" + std::to_string(gets++) + "\"\r\n");
      },
      R"([{"url":"x.bin","sha256":")" + std::string(64, 'a') + R"(","size":10}])"));
  FakeStoreHost host(at(server));
  create(host);
  const std::string token = host.list_all().objects.at(0).change_token;
  EXPECT_EQ(host.fetch("x.bin", token, 0, 5).bytes, "01234");
  EXPECT_EQ(host.fetch("x.bin", token, 5, 5).status, OTAGATE_CHANGED);
  EXPECT_EQ(host.fetch("x.bin", token, 0, 5).bytes, "01234");  // begun anew
}

TEST(WebStore, CutsWhatIsLongerThanDeclared) {
  ScriptedServer server(with_object(
      [](const SeenRequest& seen) {
        if (seen.method == "HEAD") return answer(405);
        return "HTTP/1.1 200 OK\r\n\r\n" + std::string(500'000, 'x');  // ends with the connection
      },
      R"([{"url":"x.bin","size":1000}])"));
  FakeStoreHost host(at(server));
  create(host);
  const auto listed = host.list_all();
  ASSERT_EQ(listed.objects.size(), 1u) << listed.message;
  const auto fetched = host.fetch("x.bin", listed.objects[0].change_token);
  EXPECT_EQ(fetched.status, OTAGATE_PERMANENT);
  EXPECT_EQ(fetched.bytes.size(), 1000u);
  EXPECT_NE(fetched.message.find("correct its 'size'"), std::string::npos) << fetched.message;
}

TEST(WebStore, AnswersOfAnotherRangeOrTooShortAreWorthAnotherTry) {
  std::atomic<int> gets = 0;
  ScriptedServer server([&](const SeenRequest&) {
    return ++gets == 1 ? answer(206, "abc", "Content-Range: bytes 5-7/10\r\n")
                       : "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
  });
  FakeStoreHost host(at(server));
  create(host);
  EXPECT_EQ(host.fetch("x.bin", "", 0, 3).status, OTAGATE_TRANSIENT);
  EXPECT_EQ(host.fetch("x.bin").status, OTAGATE_TRANSIENT);
}

TEST(WebStore, SendsCredentialsToItsOwnServerOnly) {
  ScriptedServer other([](const SeenRequest&) { return answer(200, "there"); });
  ScriptedServer server([&](const SeenRequest& seen) {
    if (seen.target == "/fw/moved.bin") return answer(302, "", "Location: " + other.url("/moved") + "\r\n");
    return answer(200, "here");
  });
  FakeStoreHost host(at(server, {{"credentials", "bearer"}, {"token", "s3cret"}}));
  create(host);
  EXPECT_EQ(host.fetch("x.bin").bytes, "here");
  EXPECT_EQ(host.fetch("moved.bin").bytes, "there");
  EXPECT_EQ(host.fetch(other.url("/direct")).bytes, "there");
  for (const SeenRequest& seen : server.seen()) EXPECT_EQ(seen.header("authorization"), "Bearer s3cret");
  ASSERT_EQ(other.seen().size(), 2u);
  for (const SeenRequest& seen : other.seen()) EXPECT_FALSE(seen.has("authorization"));
}

TEST(WebStore, PagesOfAnIndexStayOnItsServer) {
  ScriptedServer other([](const SeenRequest&) { return answer(200, "[]"); });
  ScriptedServer server([&](const SeenRequest&) {
    return answer(200, R"({"items":[],"next":")" + other.url("/more") + R"("})");
  });
  FakeStoreHost host(at(server, {{"credentials", "bearer"}, {"token", "s3cret"}}));
  create(host);
  const auto listed = host.list_all();
  EXPECT_EQ(listed.status, OTAGATE_PERMANENT);
  EXPECT_NE(listed.message.find("another server"), std::string::npos) << listed.message;
  EXPECT_TRUE(other.seen().empty());
}

TEST(WebStore, AsksConditionallyByTagAndTime) {
  ScriptedServer server([](const SeenRequest& seen) {
    const std::string headers = "ETag: W/\"7\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    return seen.has("if-none-match")
               ? "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n"
               : answer(200, R"([{"url":"a","sha256":")" + std::string(64, 'a') + R"("}])", headers);
  });
  FakeStoreHost host(at(server));
  create(host);
  const auto first = host.list_all();
  ASSERT_EQ(first.objects.size(), 1u) << first.message;
  const std::size_t before = server.seen().size();
  const auto second = host.list_all();
  ASSERT_EQ(second.objects.size(), 1u) << second.message;
  EXPECT_EQ(second.objects[0].change_token, first.objects[0].change_token);
  ASSERT_EQ(server.seen().size(), before + 1);
  EXPECT_EQ(server.seen().back().header("if-none-match"), "W/\"7\"");
  EXPECT_EQ(server.seen().back().header("if-modified-since"), "Wed, 21 Oct 2015 07:28:00 GMT");
}

TEST(WebStore, KeepsTwoRunsApart) {
  ScriptedServer server([](const SeenRequest& seen) {
    if (seen.method == "HEAD") return head_answer(1, "");
    const std::string digest = R"(","sha256":")" + std::string(64, 'a') + R"("})";
    return answer(200, R"([{"url":"a)" + digest + R"(,{"url":"b)" + digest + R"(,{"url":"a)" + digest + "]");
  });
  FakeStoreHost host(at(server));
  create(host);
  const auto one = host.list("", 1);
  const auto other = host.list("", 1);
  EXPECT_EQ(host.list(one.cursor, 1).objects.at(0).key, "b");
  EXPECT_EQ(host.list(one.cursor, 1).objects.at(0).key, "b");  // a page may be asked for again
  EXPECT_EQ(host.list(other.cursor, 10).objects.size(), 1u);   // the same key only once
  EXPECT_EQ(host.list("no.cursor", 1).status, OTAGATE_INVALID);
  EXPECT_EQ(host.list("99.0.0", 1).status, OTAGATE_TRANSIENT);
}

TEST(WebStore, SaysWhichOptionIsWrong) {
  const std::vector<std::pair<Options, std::string>> cases = {
      {{{"index_url", "no url"}}, "'index_url'"},
      {{{"index_url", "https://h/fw"}, {"listing", "autoindex"}}, "'index_url'"},
      {{{"index_url", "https://h/"}, {"listing", "html"}}, "'listing'"},
      {{{"index_url", "https://h/"}, {"credentials", "basic"}, {"user", "u"}}, "'password'"},
      {{{"index_url", "https://h/"}, {"credentials", "basic"}, {"user", "u:v"}, {"password", "p"}}, "'user'"},
      {{{"index_url", "https://h/"}, {"credentials", "bearer"}}, "'token'"},
      {{{"index_url", "https://h/"}, {"credentials", "bearer"}, {"token", "a\nb"}}, "'token'"},
      {{{"index_url", "https://h/"}, {"token", "t"}}, "'credentials'"},
      {{{"index_url", "https://h/"}, {"credentials", "digest"}}, "'credentials'"},
  };
  for (const auto& [options, part] : cases) {
    FakeStoreHost host(options);
    const auto created = host.create();
    EXPECT_EQ(created.status, OTAGATE_INVALID);
    EXPECT_NE(created.message.find(part), std::string::npos) << created.message;
  }
}

}  // namespace
}  // namespace otagate::web
