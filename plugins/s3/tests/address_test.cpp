#include "s3/address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace otagate::s3 {
namespace {

using ::testing::HasSubstr;

TEST(Address, OfAwsTakesTheBucketsHost) {
  const auto address = Address::make("", "firmware", "eu-west-1", "auto");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(address->host(), "firmware.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(address->url(address->object_path("a b"), "x=1"),
            "https://firmware.s3.eu-west-1.amazonaws.com/a%20b?x=1");
  EXPECT_EQ(address->bucket_path(), "/");
  EXPECT_EQ(Address::make("", "firmware", "cn-north-1", "auto")->host(),
            "firmware.s3.cn-north-1.amazonaws.com.cn");
}

TEST(Address, WithADotInTheBucketKeepsItOutOfTheCertificatesWay) {
  const auto address = Address::make("", "fw.example.com", "eu-west-1", "auto");
  EXPECT_EQ(address->host(), "s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(address->object_path("k"), "/fw.example.com/k");
}

TEST(Address, OfAnotherServerTakesThePath) {
  const auto address = Address::make("http://127.0.0.1:9000", "firmware", "us-east-1", "auto");
  EXPECT_EQ(address->host(), "127.0.0.1:9000");
  EXPECT_EQ(address->bucket_path(), "/firmware");
  EXPECT_EQ(address->object_path("a b/c+d%/ü.bin"), "/firmware/a%20b/c%2Bd%25/%C3%BC.bin");
  EXPECT_EQ(address->object_path("/../x"), "/firmware//../x");
}

TEST(Address, KeepsAPrefixPathAndAnIpv6Literal) {
  const auto address = Address::make("https://[::1]:9000/s3/", "firmware", "us-east-1", "auto");
  EXPECT_EQ(address->url(address->object_path("k"), ""), "https://[::1]:9000/s3/firmware/k");
  EXPECT_TRUE(address->loopback());
}

TEST(Address, PutsTheBucketBeforeANameOnce) {
  EXPECT_EQ(Address::make("http://s3.localhost:7070", "firmware", "r", "virtual")->host(),
            "firmware.s3.localhost:7070");
  EXPECT_EQ(Address::make("https://firmware.s3.example", "firmware", "r", "virtual")->host(),
            "firmware.s3.example");
}

TEST(Address, SaysWhatToWrite) {
  const struct {
    const char* endpoint;
    const char* bucket;
    const char* region;
    const char* addressing;
    const char* expected;
  } cases[] = {
      {"", "ab", "r", "auto", "'bucket'"},
      {"", "a/b/c", "r", "auto", "'bucket'"},
      {"", "a..b", "r", "auto", "'bucket'"},
      {"", "firmware", "", "auto", "'region'"},
      {"", "firmware", "eu west/1", "auto", "'region'"},
      {"s3.example", "firmware", "r", "auto", "'endpoint'"},
      {"ftp://s3.example", "firmware", "r", "auto", "https://"},
      {"https://user:pw@s3.example", "firmware", "r", "auto", "'endpoint'"},
      {"https://s3.example/?a=b", "firmware", "r", "auto", "'endpoint'"},
      {"https://s3.example", "firmware", "r", "dns", "'addressing'"},
      {"http://127.0.0.1:9000", "firmware", "r", "virtual", "path"},
      {"http://[::1]:9000", "firmware", "r", "virtual", "path"},
      {"https://s3.example", "Firm_ware", "r", "virtual", "path"},
  };
  for (const auto& c : cases) {
    const auto address = Address::make(c.endpoint, c.bucket, c.region, c.addressing);
    ASSERT_FALSE(address) << c.endpoint << c.bucket << c.region << c.addressing;
    EXPECT_EQ(address.error().status, OTAGATE_INVALID);
    EXPECT_THAT(address.error().message, HasSubstr(c.expected));
    EXPECT_EQ(address.error().message.find("pw"), std::string::npos);
  }
}

}  // namespace
}  // namespace otagate::s3
