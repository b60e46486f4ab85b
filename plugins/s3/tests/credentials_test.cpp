#include "s3/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <ctime>

#include "s3/tests/answers.hpp"

namespace otagate::s3 {
namespace {

using ::testing::HasSubstr;

TEST(S3Credentials, SignsNothingForAPublicBucket) {
  ScriptedServer server([](const SeenRequest& r) { return serve_object(r); });
  FakeStoreHost host({{"endpoint", server.url("")},
                      {"bucket", std::string("fw-bucket")},
                      {"credentials", std::string("anonymous")}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(host.fetch("k").bytes.size(), 1000u);
  EXPECT_FALSE(server.seen().at(0).has("authorization"));
  EXPECT_TRUE(server.seen().at(0).has("x-amz-content-sha256"));
}

TEST(S3Credentials, TakesKeysFromTheEnvironmentOnlyWhenTold) {
  ScriptedServer server([](const SeenRequest& r) { return serve_object(r); });
  setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "envsecret", 1);
  setenv("AWS_SESSION_TOKEN", "envtoken", 1);
  {
    FakeStoreHost host({{"endpoint", server.url("")}, {"bucket", std::string("fw-bucket")}});
    EXPECT_EQ(host.create().status, OTAGATE_INVALID);
  }
  FakeStoreHost host({{"endpoint", server.url("")},
                      {"bucket", std::string("fw-bucket")},
                      {"credentials", std::string("environment")}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  unsetenv("AWS_ACCESS_KEY_ID");
  unsetenv("AWS_SECRET_ACCESS_KEY");
  unsetenv("AWS_SESSION_TOKEN");
  EXPECT_EQ(host.fetch("k").status, OTAGATE_OK);
  EXPECT_THAT(server.seen().at(0).header("authorization"), HasSubstr("Credential=ENVKEY/"));
  EXPECT_EQ(server.seen().at(0).header("x-amz-security-token"), "envtoken");
}

class InstanceService {
 public:
  explicit InstanceService(std::int64_t lasts)
      : server([this, lasts](const SeenRequest& r) {
          const std::string path = "/latest/meta-data/iam/security-credentials/";
          if (r.target == "/latest/api/token" && r.method == "PUT" &&
              r.header("x-aws-ec2-metadata-token-ttl-seconds") == "21600") {
            return answer(200, "session");
          }
          if (r.header("x-aws-ec2-metadata-token") != "session") return answer(401);
          if (r.target == path) return answer(200, "the role\n");
          if (r.target != path + "the%20role") return answer(404);
          ++given;
          // The service's clock is the one that counts: here it says 2001.
          return answer(200,
                        "{\"Code\": \"Success\", \"AccessKeyId\": \"ROLEKEY" + std::to_string(given) +
                            "\", \"SecretAccessKey\": \"s\", \"Token\": \"t\", \"Expiration\": \"" +
                            iso(1'000'000'000 + lasts) + "\"}",
                        "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n");
        }) {}
  static std::string iso(std::time_t when) {
    std::tm parts = {};
    gmtime_r(&when, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
  }
  std::atomic<int> given = 0;
  ScriptedServer server;
};

TEST(S3Credentials, FetchesKeysOfTheMachinesRoleAndKeepsThem) {
  ScriptedServer server([](const SeenRequest& r) { return serve_object(r); });
  InstanceService service(3600);
  FakeStoreHost host({{"endpoint", server.url("")},
                      {"bucket", std::string("fw-bucket")},
                      {"credentials", std::string("metadata")},
                      {"metadata_endpoint", service.server.url("")}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  EXPECT_EQ(service.given, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(host.fetch("k").status, OTAGATE_OK);
  EXPECT_EQ(service.given, 1);
  EXPECT_THAT(server.seen().at(2).header("authorization"), HasSubstr("Credential=ROLEKEY1/"));
  EXPECT_EQ(server.seen().at(2).header("x-amz-security-token"), "t");
}

TEST(S3Credentials, RenewsKeysThatAreAboutToEndOrAreCalledExpired) {
  std::atomic<bool> expired = false;
  ScriptedServer server([&](const SeenRequest& r) {
    return expired.exchange(false) ? error(400, "ExpiredToken") : serve_object(r);
  });
  {
    InstanceService service(200);  // less than the five minutes before the end
    FakeStoreHost host({{"endpoint", server.url("")},
                        {"bucket", std::string("fw-bucket")},
                        {"credentials", std::string("metadata")},
                        {"metadata_endpoint", service.server.url("")}});
    ASSERT_EQ(host.create().status, OTAGATE_OK);
    EXPECT_EQ(host.fetch("k").status, OTAGATE_OK);
    EXPECT_EQ(host.fetch("k").status, OTAGATE_OK);
    EXPECT_EQ(service.given, 2);
  }
  InstanceService service(3600);
  FakeStoreHost host({{"endpoint", server.url("")},
                      {"bucket", std::string("fw-bucket")},
                      {"credentials", std::string("metadata")},
                      {"metadata_endpoint", service.server.url("")}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  expired = true;
  EXPECT_EQ(host.fetch("k").status, OTAGATE_TRANSIENT);
  EXPECT_EQ(host.fetch("k").status, OTAGATE_OK);
  EXPECT_EQ(service.given, 2);
}

TEST(S3Credentials, SaysThatTheMachineHasNoRole) {
  ScriptedServer service(
      [](const SeenRequest& r) { return r.method == "PUT" ? answer(200, "s") : answer(404); });
  FakeStoreHost host({{"endpoint", std::string("http://127.0.0.1:1")},
                      {"bucket", std::string("fw-bucket")},
                      {"credentials", std::string("metadata")},
                      {"metadata_endpoint", service.url("")}});
  ASSERT_EQ(host.create().status, OTAGATE_OK);
  const auto listed = host.list();
  EXPECT_EQ(listed.status, OTAGATE_NOT_FOUND);
  EXPECT_THAT(listed.message, HasSubstr("metadata service"));
}

}  // namespace
}  // namespace otagate::s3
