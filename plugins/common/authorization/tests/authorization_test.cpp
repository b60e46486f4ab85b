#include "common/authorization/authorization.hpp"

#include <gtest/gtest.h>

namespace otagate::plugins {
namespace {

TEST(ParseAuthorization, Bearer) {
  const auto parsed = parse_authorization("bearer  abc.def");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->scheme, Authorization::Scheme::kBearer);
  EXPECT_EQ(parsed->secret, "abc.def");
}

TEST(ParseAuthorization, TheTokensOfHawkbitsDevicesAreBearerTokens) {
  for (const char* value : {"TargetToken abc", "GatewayToken  abc", "targettoken abc"}) {
    const auto parsed = parse_authorization(value);
    ASSERT_TRUE(parsed) << value;
    EXPECT_EQ(parsed->scheme, Authorization::Scheme::kBearer);
    EXPECT_EQ(parsed->secret, "abc");
  }
  EXPECT_FALSE(parse_authorization("TargetToken"));
  EXPECT_FALSE(parse_authorization("TargetTokenX abc"));
}

TEST(DeviceOfUser, IsWhatStandsBeforeTheApplication) {
  EXPECT_EQ(device_of_user("sensor-1@fleet"), "sensor-1");
  EXPECT_EQ(device_of_user("a@b@fleet"), "a@b");
  EXPECT_EQ(device_of_user("sensor-1"), "");
  EXPECT_EQ(device_of_user("@fleet"), "");
}

TEST(ParseAuthorization, BasicOfRfc7617) {
  const auto parsed = parse_authorization("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->scheme, Authorization::Scheme::kBasic);
  EXPECT_EQ(parsed->user, "Aladdin");
  EXPECT_EQ(parsed->secret, "open sesame");
}

TEST(ParseAuthorization, AColonBelongsToThePassword) {
  const auto parsed = parse_authorization("Basic " + base64_encode("u:a:b"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->user, "u");
  EXPECT_EQ(parsed->secret, "a:b");
}

TEST(ParseAuthorization, AnythingElseIsRefusedAndNotQuoted) {
  for (const char* value : {"", "Bearer", "Bearer ", "Bearer a b", "Basic", "Basic !!!!",
                            "Basic QQ==", "Basic A", "Basic QUFB\nQTpC", "Digest s3cret", "s3cret"}) {
    const auto parsed = parse_authorization(value);
    ASSERT_FALSE(parsed) << value;
    EXPECT_FALSE(parsed.error().empty());
    EXPECT_EQ(parsed.error().find("s3cret"), std::string::npos);
  }
  EXPECT_FALSE(parse_authorization("Bearer " + std::string(5000, 'a')));
  EXPECT_FALSE(parse_authorization("Basic " + std::string(8000, 'a')));
}

TEST(Base64Encode, PadsAsRfc4648Says) {
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace otagate::plugins
