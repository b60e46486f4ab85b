#include "gateway/credentials.hpp"

#include <gtest/gtest.h>

namespace otagate::gateway {
namespace {

config::Credential token(std::string name, std::string secret, std::string type) {
  config::Credential credential;
  credential.name = std::move(name);
  credential.secret = config::Secret(std::move(secret));
  credential.type = std::move(type);
  return credential;
}

TEST(Credentials, FindsByExactSecretAndScheme) {
  Credentials credentials;
  config::Credential basic = token("b", "pw", "sensor");
  basic.kind = config::Credential::Kind::basic;
  basic.user = "joe";
  credentials.replace({token("t", "s3cret", "sensor"), basic});
  EXPECT_EQ(credentials.check(Scheme::bearer, "", "s3cret")->name, "t");
  EXPECT_EQ(credentials.check(Scheme::basic, "joe", "pw")->name, "b");
  EXPECT_EQ(credentials.check(Scheme::bearer, "", "s3cre").error().code(), Code::denied);
  EXPECT_EQ(credentials.check(Scheme::basic, "", "s3cret").error().code(), Code::denied);
  EXPECT_EQ(credentials.check(Scheme::basic, "jo", "epw").error().code(), Code::denied);
  EXPECT_EQ(credentials.check(Scheme::none, "", "").error().code(), Code::denied);
}

TEST(Credentials, BindsToWhatMayBeSeen) {
  Credentials credentials;
  config::Credential narrow = token("narrow", "n", "sensor");
  narrow.stores = {"vendor-a"};
  credentials.replace({narrow, token("all", "a", "*")});
  const Principal bound = *credentials.check(Scheme::bearer, "", "n");
  EXPECT_TRUE(bound.may_see("sensor", "vendor-a"));
  EXPECT_TRUE(bound.may_see("", "vendor-a"));
  EXPECT_FALSE(bound.may_see("sensor", "vendor-b"));
  EXPECT_FALSE(bound.may_see("modem", "vendor-a"));
  EXPECT_TRUE(credentials.check(Scheme::bearer, "", "a")->may_see("modem", "vendor-b"));
  EXPECT_TRUE(credentials.find(0)->may_see("modem", "vendor-b"));
}

TEST(Credentials, PrincipalsOfAnEarlierConfigurationAreInvalid) {
  Credentials credentials;
  credentials.replace({token("t", "one", "sensor")});
  const std::uint64_t old = credentials.check(Scheme::bearer, "", "one")->id;
  ASSERT_NE(credentials.find(old), nullptr);
  const std::uint64_t epoch = credentials.epoch();
  credentials.replace({token("t", "two", "sensor")});
  EXPECT_EQ(credentials.find(old), nullptr);
  EXPECT_GT(credentials.epoch(), epoch);
  EXPECT_FALSE(credentials.check(Scheme::bearer, "", "one"));
  EXPECT_TRUE(credentials.check(Scheme::bearer, "", "two"));
}

}  // namespace
}  // namespace otagate::gateway
