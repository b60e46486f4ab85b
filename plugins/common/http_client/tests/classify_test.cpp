#include "common/http_client/classify.hpp"

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>

#include "common/http_client/curl_failure.hpp"

namespace otagate::common {
namespace {

constexpr std::int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(ParseRetryAfter, TakesSecondsAndAllThreeDates) {
  EXPECT_EQ(parse_retry_after("0", kNow), 0u);
  EXPECT_EQ(parse_retry_after(" 120 ", kNow), 120'000u);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", kNow), 10'000u);
  EXPECT_EQ(parse_retry_after("Sunday, 06-Nov-94 08:49:47 GMT", kNow), 10'000u);
  EXPECT_EQ(parse_retry_after("Sun Nov  6 08:49:47 1994", kNow), 10'000u);
}

TEST(ParseRetryAfter, NeverExceedsADayNorGoesBack) {
  EXPECT_EQ(parse_retry_after("99999999999999999999999999", kNow), 86'400'000u);
  EXPECT_EQ(parse_retry_after("86401", kNow), 86'400'000u);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 2094 08:49:47 GMT", kNow), 86'400'000u);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:36 GMT", kNow), 0u);
}

TEST(ParseRetryAfter, RefusesWhatIsNeither) {
  for (const char* value : {"", " ", "-1", "1.5", "soon", "+5", "12 s", "Sun, 99 Foo 1994 08:49:47 GMT"}) {
    EXPECT_EQ(parse_retry_after(value, kNow), std::nullopt) << value;
  }
}

TEST(RetryAfterMs, ReadsADateOnThePeersOwnClock) {
  HttpHead head{
      503, {{"date", "Thu, 01 Jan 1970 00:00:10 GMT"}, {"retry-after", "Thu, 01 Jan 1970 00:00:40 GMT"}}};
  EXPECT_EQ(retry_after_ms(head), 30'000u);
}

TEST(ClassifyStatus, NamesTheClassThatDecidesTheRetry) {
  const struct {
    long status;
    std::uint32_t expected;
  } cases[] = {
      {200, OTAGATE_OK},        {204, OTAGATE_OK},        {206, OTAGATE_OK},
      {304, OTAGATE_OK},        {301, OTAGATE_PERMANENT}, {400, OTAGATE_PERMANENT},
      {401, OTAGATE_DENIED},    {403, OTAGATE_DENIED},    {404, OTAGATE_NOT_FOUND},
      {407, OTAGATE_DENIED},    {408, OTAGATE_TRANSIENT}, {409, OTAGATE_TRANSIENT},
      {410, OTAGATE_NOT_FOUND}, {412, OTAGATE_CHANGED},   {416, OTAGATE_INVALID},
      {429, OTAGATE_THROTTLED}, {500, OTAGATE_TRANSIENT}, {501, OTAGATE_UNSUPPORTED},
      {502, OTAGATE_TRANSIENT}, {503, OTAGATE_TRANSIENT}, {504, OTAGATE_TRANSIENT},
      {599, OTAGATE_TRANSIENT}, {799, OTAGATE_PERMANENT},
  };
  for (const auto& c : cases) EXPECT_EQ(classify_status(c.status, false), c.expected) << c.status;
  EXPECT_EQ(classify_status(503, true), OTAGATE_THROTTLED);
}

TEST(StatusFailure, SaysWhereWithoutTheQuery) {
  const Failure failure =
      status_failure({503, {{"retry-after", "7"}}}, "GET", "https://h/p?X-Amz-Signature=s");
  EXPECT_EQ(failure.message, "GET https://h/p: 503 Service Unavailable");
  EXPECT_EQ(failure.status, OTAGATE_THROTTLED);
  EXPECT_EQ(failure.retry_after_ms, 7000u);
}

TEST(CurlFailure, TellsAWrongClockFromAWrongCertificate) {
  const auto status = [](long result) {
    return curl_failure(CURLE_PEER_FAILED_VERIFICATION, result, "", "GET", "https://h/").status;
  };
  EXPECT_EQ(status(X509_V_ERR_CERT_NOT_YET_VALID), OTAGATE_CLOCK);
  EXPECT_EQ(status(X509_V_ERR_CERT_HAS_EXPIRED), OTAGATE_PERMANENT);
  EXPECT_EQ(status(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN), OTAGATE_PERMANENT);
  EXPECT_EQ(curl_failure(CURLE_COULDNT_CONNECT, 0, "", "GET", "https://h/").status, OTAGATE_TRANSIENT);
  EXPECT_EQ(curl_failure(CURLE_URL_MALFORMAT, 0, "", "GET", "https://h/").status, OTAGATE_INVALID);
}

TEST(CurlFailure, DropsADetailThatQuotesASignature) {
  const Failure failure = curl_failure(CURLE_COULDNT_CONNECT, 0, "bad /k?X-Amz-Signature=feed", "GET",
                                       "https://h/k?X-Amz-Signature=feed");
  EXPECT_EQ(failure.message.find("feed"), std::string::npos);
}

}  // namespace
}  // namespace otagate::common
