#include "s3/s3_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "common/http_client/classify.hpp"
#include "s3/tests/answers.hpp"

namespace otagate::s3 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// What a strict server would compute from the request that arrived.
std::string expected_signature(const SeenRequest& seen) {
  const std::string auth = seen.header("authorization");
  const std::size_t names_at = auth.find("SignedHeaders=") + 14;
  const std::string names = auth.substr(names_at, auth.find(',', names_at) - names_at);
  Signable what;
  what.method = seen.method;
  const std::size_t question = seen.target.find('?');
  const std::string path = seen.target.substr(0, question);
  what.path = path;
  if (question != std::string::npos) {
    std::string query = seen.target.substr(question + 1) + "&";
    for (std::size_t at = 0, end = 0; (end = query.find('&', at)) != std::string::npos; at = end + 1) {
      const std::string pair = query.substr(at, end - at);
      const std::size_t equals = pair.find('=');
      what.query.emplace_back(common::percent_decode(pair.substr(0, equals)),
                              common::percent_decode(pair.substr(equals + 1)));
    }
  }
  const std::string all = names + ";";
  for (std::size_t at = 0, end = 0; (end = all.find(';', at)) != std::string::npos; at = end + 1) {
    const std::string name = all.substr(at, end - at);
    what.headers.emplace_back(name, seen.header(name));
  }
  const std::string hash = seen.header("x-amz-content-sha256");
  what.payload_hash = hash;
  return signature(what, {"AKID", kSecret}, seen.header("x-amz-date"), {"us-east-1"});
}

TEST(S3Store, RefusesABadConfigurationWithAdvice) {
  const struct {
    std::map<std::string, OptionValue> options;
    const char* expected;
  } cases[] = {
      {{{"bucket", std::string("fw-bucket")}}, "'access_key'"},
      {options("http://127.0.0.1:1", {{"addressing", std::string("virtual")}}), "path"},
      {options("nonsense"), "'endpoint'"},
      {options("http://127.0.0.1:1", {{"proxy", std::string("gopher://x")}}), "proxy"},
      {options("http://127.0.0.1:1", {{"credentials", std::string("environment")}}), "AWS_ACCESS_KEY_ID"},
  };
  unsetenv("AWS_ACCESS_KEY_ID");
  for (const auto& c : cases) {
    FakeStoreHost host(c.options);
    const auto made = host.create();
    EXPECT_EQ(made.status, OTAGATE_INVALID) << c.expected;
    EXPECT_THAT(made.message, HasSubstr(c.expected));
    EXPECT_THAT(made.message, Not(HasSubstr(kSecret)));
  }
}

TEST(S3Store, ListsPageByPage) {
  ScriptedServer server([](const SeenRequest& r) {
    const bool second = r.target.find("continuation-token=tok%2F1") != std::string::npos;
    return answer(
        200, second ? "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
                      "<Contents><Key>c%2Bd</Key><ETag>\"e2\"</ETag><Size>2</Size></Contents>"
                      "</ListBucketResult>"
                    : "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                      "<NextContinuationToken>tok/1</NextContinuationToken>"
                      "<Contents><Key>a+b</Key><ETag>\"e1\"</ETag><Size>1</Size></Contents>"
                      "</ListBucketResult>");
  });
  FakeStoreHost host(options(server.url(""), {{"prefix", std::string("p q/")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all(500);
  ASSERT_EQ(listed.status, OTAGATE_OK) << listed.message;
  ASSERT_EQ(listed.objects.size(), 2u);
  EXPECT_EQ(listed.objects[0].key, "a b");
  EXPECT_EQ(listed.objects[0].change_token, "e1/1");
  EXPECT_TRUE(listed.objects[0].has_stat);
  EXPECT_EQ(listed.objects[1].key, "c+d");
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_THAT(seen[0].target, StartsWith("/fw-bucket?"));
  EXPECT_THAT(seen[0].target, HasSubstr("list-type=2"));
  EXPECT_THAT(seen[0].target, HasSubstr("max-keys=500"));
  EXPECT_THAT(seen[0].target, HasSubstr("encoding-type=url"));
  EXPECT_THAT(seen[0].target, HasSubstr("prefix=p%20q%2F"));
  for (const SeenRequest& request : seen) {
    EXPECT_THAT(request.header("authorization"), HasSubstr("Signature=" + expected_signature(request)));
    EXPECT_EQ(request.header("x-amz-content-sha256"), kEmptyHash);
  }
}

TEST(S3Store, GoesOnAfterTheLastKeyWhenThereIsNoToken) {
  ScriptedServer server([](const SeenRequest& r) {
    const bool second = r.target.find("start-after=a%20b") != std::string::npos;
    return answer(
        200, second ? "<ListBucketResult><Contents><Key>c</Key></Contents></ListBucketResult>"
                    : "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a b</Key></Contents>"
                      "</ListBucketResult>");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list_all().objects.size(), 2u);
}

TEST(S3Store, EndsAListingThatTurnsInCircles) {
  ScriptedServer server([](const SeenRequest&) {
    return answer(200,
                  "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
                  "</NextContinuationToken><Contents><Key>a</Key></Contents></ListBucketResult>");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list_all();
  EXPECT_LE(server.seen().size(), 4u);
  EXPECT_EQ(listed.status, OTAGATE_PERMANENT);
}

TEST(S3Store, FetchesRangesAsTheContractSays) {
  ScriptedServer server([](const SeenRequest& r) { return serve_object(r); });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto whole = host.fetch("a b/c+d%/ü.bin", "tag/1000");
  ASSERT_EQ(whole.status, OTAGATE_OK) << whole.message;
  EXPECT_EQ(whole.bytes.size(), 1000u);
  EXPECT_EQ(whole.total, 1000u);
  EXPECT_EQ(whole.change_token, "tag/1000");
  EXPECT_EQ(server.seen().at(0).target, "/fw-bucket/a%20b/c%2Bd%25/%C3%BC.bin");
  EXPECT_EQ(server.seen().at(0).header("if-match"), "\"tag\"");
  EXPECT_THAT(server.seen().at(0).header("authorization"),
              HasSubstr(expected_signature(server.seen().at(0))));

  EXPECT_EQ(host.fetch("k", "tag/1000", 26, 3).bytes, "abc");
  EXPECT_EQ(host.fetch("k", "tag/1000", 26, 3).total, 1000u);
  EXPECT_EQ(host.fetch("k", "tag/1000", 990, 500).bytes.size(), 10u);
  const auto beyond = host.fetch("k", "tag/1000", 1000, 10);
  EXPECT_EQ(beyond.status, OTAGATE_OK) << beyond.message;
  EXPECT_EQ(beyond.bytes, "");
  EXPECT_EQ(host.fetch("k", "", 5000, UINT64_MAX).status, OTAGATE_OK);
}

TEST(S3Store, NoticesThatTheObjectChanged) {
  std::atomic<bool> ignores_conditions = false;
  ScriptedServer server([&](const SeenRequest& r) {
    SeenRequest request = r;
    if (ignores_conditions) request.headers.erase("if-match");
    return serve_object(request, "\"new\"");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.fetch("k", "old/1000", 0, 10).status, OTAGATE_CHANGED);
  // The same ETag with another size, as after an upload that a server tags by time.
  EXPECT_EQ(host.fetch("k", "new/999", 0, 10).status, OTAGATE_CHANGED);
  EXPECT_EQ(host.fetch("k", "new/2000", 1500, 10).status, OTAGATE_CHANGED);
  EXPECT_EQ(host.fetch("k", "garbage", 0, 10).status, OTAGATE_CHANGED);
  ignores_conditions = true;
  const auto fetched = host.fetch("k", "old/1000", 0, 10);
  EXPECT_EQ(fetched.status, OTAGATE_CHANGED);
  EXPECT_EQ(fetched.bytes, "");
}

TEST(S3Store, CopesWithAServerThatIgnoresRanges) {
  ScriptedServer server([](const SeenRequest& r) {
    SeenRequest request = r;
    request.headers.erase("range");
    return serve_object(request);
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.fetch("k", "", 0, 26).bytes, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(host.fetch("k", "", 10, 10).status, OTAGATE_UNSUPPORTED);
}

TEST(S3Store, RefusesBytesOfAnotherRange) {
  ScriptedServer server([](const SeenRequest&) {
    return answer(206, "xx", "ETag: \"t\"\r\nContent-Range: bytes 0-1/1000\r\n");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto fetched = host.fetch("k", "", 10, 2);
  EXPECT_EQ(fetched.status, OTAGATE_TRANSIENT);
  EXPECT_EQ(fetched.bytes, "");
}

TEST(S3Store, StopsWhenTheSinkSaysSo) {
  ScriptedServer server(
      [](const SeenRequest&) { return answer(200, std::string(5'000'000, 'x'), "ETag: \"t\"\r\n"); });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto fetched = host.fetch("k", "", 0, 0, [](std::string_view) { return OTAGATE_STOP; });
  EXPECT_EQ(fetched.status, OTAGATE_CANCELLED);
  EXPECT_EQ(fetched.completions, 1);
  EXPECT_LE(fetched.bytes.size(), OTAGATE_MESSAGE_MAX);
}

TEST(S3Store, GivesMetadataAndDigestOfAnObject) {
  ScriptedServer server([](const SeenRequest& r) {
    EXPECT_EQ(r.method, "HEAD");
    return std::string(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"t\"\r\nX-Amz-Meta-Version: "
        "1.2.3\r\nx-amz-meta-Name: probe\r\n"
        "x-amz-checksum-sha256: ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\r\n"
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto found = host.stat("k");
  ASSERT_EQ(found.status, OTAGATE_OK) << found.message;
  ASSERT_EQ(found.objects.size(), 1u);
  const sdk::Object& object = found.objects[0];
  EXPECT_EQ(object.metadata, (sdk::Pairs{{"version", "1.2.3"}, {"name", "probe"}}));
  EXPECT_EQ(object.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(object.change_token, "t/3");
  EXPECT_EQ(object.modified_ms, 784111777000);
}

TEST(S3Store, PassesThrottlingOnWithItsDelay) {
  ScriptedServer server([](const SeenRequest&) { return error(503, "SlowDown", "Retry-After: 17\r\n"); });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list();
  EXPECT_EQ(listed.status, OTAGATE_THROTTLED);
  EXPECT_EQ(listed.retry_after_ms, 17'000u);
  EXPECT_EQ(server.seen().size(), 1u);  // trying again is the gateway's
}

TEST(S3Store, SaysNoSecretWhenTheKeyIsWrong) {
  ScriptedServer server([](const SeenRequest&) { return error(403, "SignatureDoesNotMatch"); });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto fetched = host.fetch("k");
  EXPECT_EQ(fetched.status, OTAGATE_DENIED);
  EXPECT_THAT(fetched.message, HasSubstr("secret_key"));
  EXPECT_THAT(fetched.message, Not(HasSubstr(kSecret)));
}

TEST(S3Store, SignsWithTheServersTimeAfterItRefusedOurs) {
  const std::time_t real = std::time(nullptr);
  ScriptedServer server([&](const SeenRequest& r) {
    const std::string date = "Date: " + http_date(real) + "\r\n";
    if (r.header("x-amz-date").substr(0, 8) != amz_date(real).substr(0, 8))
      return error(403, "RequestTimeTooSkewed", date);
    return answer(200, "<ListBucketResult/>", date);
  });
  FakeStoreHost host(options(server.url("")));
  host.clock_offset_ms = -std::int64_t{real} * 1000;  // 1970
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto refused = host.list();
  EXPECT_EQ(refused.status, OTAGATE_CLOCK);
  EXPECT_THAT(refused.message, HasSubstr("clock"));
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_OK);
  EXPECT_EQ(server.seen().size(), 3u);
}

TEST(S3Store, BelievesNoTimeOfAPeerThatMayBeAnybody) {
  // A proxy stands for the way that somebody else may be on.
  ScriptedServer proxy([](const SeenRequest&) {
    return error(403, "RequestTimeTooSkewed", "Date: Sun, 06 Nov 2044 08:49:37 GMT\r\n");
  });
  FakeStoreHost host(options("http://store.invalid", {{"proxy", proxy.url("")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.list().status, OTAGATE_CLOCK);
  EXPECT_EQ(host.list().status, OTAGATE_CLOCK);
  EXPECT_THAT(proxy.seen().at(1).header("x-amz-date"), Not(StartsWith("2044")));
}

TEST(S3Store, PresignsAfterAskingForTheObjectOnce) {
  ScriptedServer server([](const SeenRequest&) {
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"t\"\r\n\r\n");
  });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto get = host.presign("a b", "t/5", false, 60'000);
  ASSERT_EQ(get.status, OTAGATE_OK) << get.message;
  EXPECT_THAT(get.bytes, StartsWith(server.url("/fw-bucket/a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")));
  EXPECT_THAT(get.bytes, HasSubstr("X-Amz-Expires=60&"));
  const auto head = host.presign("a b", "t/5", true, 60'000);
  EXPECT_NE(head.bytes, get.bytes);
  EXPECT_EQ(server.seen().size(), 1u);
  EXPECT_EQ(host.presign("a b", "old/5", false, 60'000).status, OTAGATE_CHANGED);
  EXPECT_THAT(host.presign("x", "", false, UINT64_MAX).bytes, HasSubstr("X-Amz-Expires=604800&"));
  EXPECT_THAT(host.presign("x", "", false, 0).bytes, HasSubstr("X-Amz-Expires=1&"));
}

TEST(S3Store, GivesNoUrlOfAStoreThatIsAway) {
  FakeStoreHost host(options("http://127.0.0.1:1"));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.presign("k", "t/5", false, 60'000).status, OTAGATE_TRANSIENT);
}

TEST(S3Store, PublishesWithTheDigestSigned) {
  ScriptedServer server([](const SeenRequest&) { return answer(200, "", "ETag: \"new\"\r\n"); });
  std::FILE* file = std::tmpfile();
  std::fputs("abc", file);
  std::fflush(file);
  const std::string sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  {
    FakeStoreHost host(options(server.url("")));
    ASSERT_EQ(host.create().status, OTAGATE_OK);
    EXPECT_EQ(host.publish(fileno(file), 3, sha256, "k", {}).status, OTAGATE_UNSUPPORTED);
    EXPECT_FALSE(host.caps().flags & OTAGATE_STORE_PUBLISH);
  }
  FakeStoreHost host(options(server.url(""), {{"publish", true}, {"prefix", std::string("fw/")}}));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_TRUE(host.caps().flags & OTAGATE_STORE_PUBLISH);
  const auto made = host.publish(fileno(file), 3, sha256, "", {{"name", "probe"}, {"version", "1.0.0"}});
  ASSERT_EQ(made.status, OTAGATE_OK) << made.message;
  EXPECT_EQ(made.objects.at(0).key, "fw/probe/probe-1.0.0-ba7816bf8f01.bin");
  EXPECT_EQ(made.objects.at(0).change_token, "new/3");
  const SeenRequest put = server.seen().at(0);
  EXPECT_EQ(put.method, "PUT");
  EXPECT_EQ(put.body, "abc");
  EXPECT_EQ(put.header("x-amz-content-sha256"), sha256);
  EXPECT_EQ(put.header("x-amz-meta-sha256"), sha256);
  EXPECT_EQ(put.header("x-amz-meta-name"), "probe");
  EXPECT_THAT(put.header("authorization"), HasSubstr(expected_signature(put)));
  for (const sdk::Pairs& bad :
       {sdk::Pairs{{"name", "a\r\nb"}}, sdk::Pairs{{"na me", "x"}}, sdk::Pairs{{"n", "ü"}}}) {
    EXPECT_EQ(host.publish(fileno(file), 3, sha256, "k", bad).status, OTAGATE_INVALID);
  }
  std::fclose(file);
}

TEST(S3Store, ServesCallsOfManyThreadsAtOnce) {
  ScriptedServer server([](const SeenRequest& r) { return serve_object(r); });
  FakeStoreHost host(options(server.url("")));
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (host.fetch("k", "tag/1000", static_cast<std::uint64_t>(i) * 26, 3).bytes != "abc") ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(server.connections(), 16);
}

}  // namespace
}  // namespace otagate::s3
