#include "oci/challenge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/docker_config.hpp"

namespace otagate::oci {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The example of the distribution token specification.
TEST(Challenge, ReadsTheOneOfTheSpecification) {
  const auto all = parse_challenges(
      "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
      "scope=\"repository:samalba/my-app:pull,push\"");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].scheme, "bearer");
  EXPECT_EQ(all[0].find("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(all[0].find("service"), "registry.docker.io");
  EXPECT_EQ(all[0].find("scope"), "repository:samalba/my-app:pull,push");
  EXPECT_EQ(all[0].find("error"), "");
}

// RFC 9110, 11.6.1: several challenges in one header.
TEST(Challenge, TellsSeveralApart) {
  const auto all = parse_challenges(
      "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].scheme, "basic");
  EXPECT_EQ(all[1].scheme, "newauth");
  EXPECT_EQ(all[1].find("type"), "1");
  EXPECT_EQ(all[1].find("title"), "Login to \"apps\"");
}

TEST(Challenge, IsBoundedAndStopsAtNonsense) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "Basic realm=\"x\",";
  EXPECT_EQ(parse_challenges(many).size(), kMaxChallenges);
  std::string params = "Bearer a=1";
  for (int i = 0; i < 100; ++i) params += ",a=1";
  EXPECT_EQ(parse_challenges(params)[0].params.size(), kMaxChallengeParams);
  EXPECT_TRUE(parse_challenges("realm=\"x\"").empty());
  EXPECT_TRUE(parse_challenges("\"").empty());
  EXPECT_TRUE(parse_challenges("Bearer realm=\"never ends")[0].params.empty());
  EXPECT_EQ(parse_challenges("Negotiate YWJj==, Bearer realm=x").size(), 2u);
}

TEST(Realm, CredentialsStayWithTheRegistry) {
  const RealmRules rules{"https://registry.example:5000", {"https://auth.example/token"}};
  EXPECT_TRUE(judge_realm("https://registry.example:5000/token", rules, true));
  EXPECT_TRUE(judge_realm("https://auth.example/other", rules, true));
  for (const char* bad : {"https://evil.example/token", "https://registry.example/token",
                          "http://registry.example:5000/t", "http://auth.example/token",
                          "https://auth.example.evil.example/", "https://registry.example:5000@evil.example/",
                          "https://user:secret@registry.example:5000/", "file:///etc/passwd", "", "token"}) {
    const auto refused = judge_realm(bad, rules, true);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().status, OTAGATE_DENIED);
    EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(judge_realm("https://evil.example/token", rules, true).error().message,
              HasSubstr("add 'https://evil.example' to 'token_realms'"));
}

TEST(Realm, AnonymousMayBeSentElsewhereButNotAnywhere) {
  const RealmRules rules{"https://registry.example", {}};
  EXPECT_TRUE(judge_realm("https://auth.example/token", rules, false));
  EXPECT_FALSE(judge_realm("http://auth.example/token", rules, false));
  EXPECT_FALSE(judge_realm("https://localhost:8443/token", rules, false));
  EXPECT_TRUE(judge_realm("http://127.0.0.1:2/token", {"http://127.0.0.1:1", {}}, false));
}

TEST(Realm, GivesTheUrlOfAToken) {
  EXPECT_EQ(token_url("https://a/token", "my registry", "repository:v/f:pull"),
            "https://a/token?service=my%20registry&scope=repository%3Av%2Ff%3Apull");
  EXPECT_EQ(token_url("https://a/token?x=1#y", "", "s"), "https://a/token?x=1&scope=s");
}

TEST(TokenAnswer, IsReadInBothSpellings) {
  EXPECT_EQ(parse_token_answer(R"({"token": "t1", "expires_in": 300})").value().token, "t1");
  EXPECT_EQ(parse_token_answer(R"({"token": "t1", "expires_in": 300})").value().expires_in, 300u);
  EXPECT_EQ(parse_token_answer(R"({"access_token": "t2"})").value().token, "t2");
  EXPECT_EQ(parse_token_answer(R"({"access_token": "t2"})").value().expires_in, 60u);
  for (const char* bad :
       {"", "[]", "{}", R"({"token": 1})", R"({"token": "a\nb"})", R"({"token": "a\u0000b"})"}) {
    EXPECT_FALSE(parse_token_answer(bad)) << bad;
  }
  EXPECT_THAT(parse_token_answer(R"({"token": "sec ret"})").error().message, Not(HasSubstr("sec")));
}

TEST(DockerConfig, FindsTheRegistryUnderItsNames) {
  // "dXNlcjpwYXNzOndvcmQ=" is user:pass:word
  const char* text = R"({"auths": {
    "registry.example:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="},
    "https://index.docker.io/v1/": {"username": "hub", "password": "p"},
    "token.example": {"auth": "", "identitytoken": "refresh"},
    "helper.example": {}}, "credsStore": "desktop"})";
  const auto plain = read_docker_config(text, "registry.example:5000");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->user, "user");
  EXPECT_EQ(plain->password, "pass:word");
  EXPECT_EQ(read_docker_config(text, "registry-1.docker.io").value().user, "hub");
  EXPECT_EQ(read_docker_config(text, "token.example").value().identity_token, "refresh");
  const auto helper = read_docker_config(text, "helper.example");
  ASSERT_FALSE(helper);
  EXPECT_THAT(helper.error().message, HasSubstr("credsStore"));
  const auto none = read_docker_config(text, "registry.example");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("registry.example"));
  EXPECT_THAT(none.error().message, Not(HasSubstr("dXNl")));
  EXPECT_FALSE(read_docker_config("[]", "a"));
  EXPECT_FALSE(read_docker_config(R"({"auths": {"a": {"auth": "%%%"}}})", "a"));
}

}  // namespace
}  // namespace otagate::oci
