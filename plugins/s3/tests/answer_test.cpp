#include "s3/answer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "otagate/storage.h"

namespace otagate::s3 {
namespace {

using common::HttpResponse;
using ::testing::HasSubstr;
using ::testing::Not;

HttpResponse response(long status, const std::string& code = "", const std::string& more = "") {
  HttpResponse made;
  made.head.status = status;
  if (!code.empty())
    made.body = "<Error><Code>" + code + "</Code><Message>words</Message>" + more + "</Error>";
  return made;
}

const FailureContext kContext{.method = "GET",
                              .url = "https://h/b/k?X-Amz-Signature=feed",
                              .bucket = "b",
                              .region = "us-east-1",
                              .signed_at = 1'000'000'000};

TEST(FailureOf, GoesByS3sCodeBeforeTheStatus) {
  const struct {
    long status;
    const char* code;
    std::uint32_t expected;
  } cases[] = {
      {404, "NoSuchKey", OTAGATE_NOT_FOUND},
      {404, "NoSuchBucket", OTAGATE_PERMANENT},
      {403, "AccessDenied", OTAGATE_DENIED},
      {403, "InvalidAccessKeyId", OTAGATE_DENIED},
      {403, "SignatureDoesNotMatch", OTAGATE_DENIED},
      {403, "RequestTimeTooSkewed", OTAGATE_CLOCK},
      {400, "ExpiredToken", OTAGATE_DENIED},
      {403, "InvalidObjectState", OTAGATE_PERMANENT},
      {412, "PreconditionFailed", OTAGATE_CHANGED},
      {503, "SlowDown", OTAGATE_THROTTLED},
      {503, "ServiceUnavailable", OTAGATE_TRANSIENT},
      {500, "InternalError", OTAGATE_TRANSIENT},
      {400, "RequestTimeout", OTAGATE_TRANSIENT},
      {307, "TemporaryRedirect", OTAGATE_TRANSIENT},
      {301, "PermanentRedirect", OTAGATE_PERMANENT},
      {400, "SomethingNew", OTAGATE_INVALID},
      {404, "", OTAGATE_NOT_FOUND},
      {429, "", OTAGATE_THROTTLED},
  };
  for (const auto& c : cases) {
    const common::Failure failure = failure_of(response(c.status, c.code), kContext);
    EXPECT_EQ(failure.status, c.expected) << c.code << " " << failure.message;
    EXPECT_THAT(failure.message, HasSubstr("https://h/b/k"));
    EXPECT_THAT(failure.message, HasSubstr(c.code));
    EXPECT_THAT(failure.message, Not(HasSubstr("feed")));
  }
}

TEST(FailureOf, ABucketThatIsNotThereIsTheConfigurationsMistake) {
  FailureContext context = kContext;
  context.of_bucket = true;
  EXPECT_EQ(failure_of(response(404), context).status, OTAGATE_PERMANENT);
  EXPECT_THAT(failure_of(response(404), context).message, HasSubstr("'endpoint'"));
}

TEST(FailureOf, SaysWhereTheBucketIs) {
  const std::string region = "<Region>eu-west-1</Region>";
  EXPECT_THAT(failure_of(response(400, "AuthorizationHeaderMalformed", region), kContext).message,
              HasSubstr("region 'eu-west-1'"));
  HttpResponse bare = response(301);
  bare.head.headers.emplace_back("x-amz-bucket-region", "ap-south-1");
  EXPECT_THAT(failure_of(bare, kContext).message, HasSubstr("region 'ap-south-1'"));
}

TEST(FailureOf, ExpiredCredentialsThatCanBeRenewedAreWorthAnotherTry) {
  FailureContext context = kContext;
  context.temporary_credentials = true;
  EXPECT_EQ(failure_of(response(400, "ExpiredToken"), context).status, OTAGATE_TRANSIENT);
  EXPECT_TRUE(says_expired(response(400, "ExpiredToken")));
  EXPECT_FALSE(says_expired(response(403, "AccessDenied")));
}

TEST(FailureOf, SeesAWrongClockWithoutADocument) {
  HttpResponse head_answer = response(403);
  head_answer.head.headers.emplace_back("date", "Sun, 09 Sep 2001 02:46:40 GMT");  // an hour after
  const common::Failure failure = failure_of(head_answer, kContext);
  EXPECT_EQ(failure.status, OTAGATE_CLOCK);
  EXPECT_THAT(failure.message, HasSubstr("3600 s"));
  head_answer.head.headers[0].second = "Sun, 09 Sep 2001 01:50:40 GMT";
  EXPECT_EQ(failure_of(head_answer, kContext).status, OTAGATE_DENIED);
}

TEST(ChecksumOf, TakesOnlyTheWholeObjects) {
  const auto checksum = [](const std::string& value, const std::string& type) {
    common::HttpHead head{200, {{"x-amz-checksum-sha256", value}}};
    if (!type.empty()) head.headers.emplace_back("x-amz-checksum-type", type);
    return checksum_of(head);
  };
  const std::string base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
  const std::string hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(checksum(base64, ""), hex);
  EXPECT_EQ(checksum(base64, "FULL_OBJECT"), hex);
  EXPECT_EQ(checksum(base64, "COMPOSITE"), "");
  EXPECT_EQ(checksum(base64 + "-3", ""), "");
  EXPECT_EQ(checksum("!!!!", ""), "");
}

}  // namespace
}  // namespace otagate::s3
