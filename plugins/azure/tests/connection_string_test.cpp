#include "azure/connection_string.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "azure/access.hpp"

namespace otagate::azure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "bm90IGEga2V5IG9mIGFueWJvZHk=";  // "not a key of anybody"

TEST(ConnectionString, ReadsThePortalsForm) {
  const auto parsed = parse_connection_string(
      "DefaultEndpointsProtocol=https;AccountName=myaccount;AccountKey=bm90IGEga2V5IG9mIGFueWJvZHk=;"
      "EndpointSuffix=core.windows.net\n");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->account, "myaccount");
  EXPECT_EQ(parsed->key, "not a key of anybody");
  EXPECT_EQ(parsed->endpoint, "https://myaccount.blob.core.windows.net");
  EXPECT_EQ(parsed->sas, "");
}

TEST(ConnectionString, TakesNamesInAnyCaseAndPassesOverOthers) {
  const auto parsed = parse_connection_string(
      ";; blobendpoint = https://fw.example/store ;ACCOUNTNAME=abc;accountkey=bm90IGEga2V5IG9mIGFueWJvZHk=;"
      "QueueEndpoint=https://other;");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->endpoint, "https://fw.example/store");
  EXPECT_EQ(parsed->account, "abc");
}

TEST(ConnectionString, TakesASasAndTheEmulator) {
  const auto sas =
      parse_connection_string("BlobEndpoint=https://a.example;SharedAccessSignature=sv=2021-12-02&sig=a%3D");
  ASSERT_TRUE(sas) << sas.error().message;
  EXPECT_EQ(sas->sas, "sv=2021-12-02&sig=a%3D");
  EXPECT_EQ(sas->key, "");
  const auto emulator = parse_connection_string("UseDevelopmentStorage=true");
  ASSERT_TRUE(emulator);
  EXPECT_EQ(emulator->endpoint, "http://127.0.0.1:10000/devstoreaccount1");
  EXPECT_EQ(emulator->key.size(), 64u);
}

TEST(ConnectionString, SaysWhatIsWrongAndShowsNoValue) {
  const struct {
    std::string text;
    const char* expected;
  } cases[] = {
      {"", "AccountName"},
      {"AccountName=abc", "AccountKey"},
      {"AccountName=abc;AccountKey=secret!", "AccountKey"},
      {"AccountName=abc;AccountKey=c2VjcmV0", "AccountKey"},
      {"AccountName=a/b;AccountKey=secret", "AccountName"},
      {"AccountName=abc;AccountName=abd;AccountKey=secret", "twice"},
      {"AccountName=abc;AccountKey=secret;EndpointSuffix=secret/x", "EndpointSuffix"},
      {"AccountName=abc;DefaultEndpointsProtocol=secret;AccountKey=secret", "DefaultEndpointsProtocol"},
      {"secret", "no name"},
      {"=secret", "no name"},
      {"BlobEndpoint=https://a.example;AccountKey=" + std::string(kKey), "AccountName"},
      {std::string(9000, 's'), "8 KiB"},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_connection_string(c.text);
    ASSERT_FALSE(parsed) << c.text;
    EXPECT_EQ(parsed.error().status, OTAGATE_INVALID);
    EXPECT_THAT(parsed.error().message, HasSubstr("'connection_string'"));
    EXPECT_THAT(parsed.error().message, HasSubstr(c.expected)) << c.text;
    EXPECT_THAT(parsed.error().message, Not(HasSubstr("secret")));
  }
}

TEST(ChooseAccess, FindsTheOneWayThatIsGiven) {
  const auto key = choose_access({.account = "myaccount", .account_key = kKey});
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->kind, Access::Kind::shared_key);
  EXPECT_EQ(key->endpoint, "https://myaccount.blob.core.windows.net");
  EXPECT_EQ(key->key, "not a key of anybody");

  const auto sas = choose_access({.account = "myaccount", .sas_token = "?sv=1&sig=x\n"});
  ASSERT_TRUE(sas) << sas.error().message;
  EXPECT_EQ(sas->kind, Access::Kind::sas);
  EXPECT_EQ(sas->sas, "sv=1&sig=x");

  const auto entra =
      choose_access({.account = "myaccount", .tenant = "a.example", .client_id = "id", .client_secret = "s"});
  ASSERT_TRUE(entra) << entra.error().message;
  EXPECT_EQ(entra->kind, Access::Kind::entra);
  EXPECT_EQ(entra->token_endpoint, "https://login.microsoftonline.com/a.example/oauth2/v2.0/token");

  const auto anonymous = choose_access({.account = "myaccount", .anonymous = true});
  ASSERT_TRUE(anonymous);
  EXPECT_EQ(anonymous->kind, Access::Kind::anonymous);

  const auto string = choose_access({.connection_string = "AccountName=abc;AccountKey=" + std::string(kKey),
                                     .endpoint = "https://b.example"});
  ASSERT_TRUE(string) << string.error().message;
  EXPECT_EQ(string->endpoint, "https://b.example");
  EXPECT_EQ(string->account, "abc");
}

TEST(ChooseAccess, RefusesWhatIsMissingTwiceOrUnprotected) {
  const struct {
    AccessOptions options;
    const char* expected;
  } cases[] = {
      {{.account = "abc"}, "connection_string"},
      {{.account = "abc", .account_key = kKey, .anonymous = true}, "several"},
      {{.account_key = kKey}, "'account'"},
      {{.endpoint = "https://a.example", .account_key = kKey}, "'account'"},
      {{.account = "A b", .anonymous = true}, "'account'"},
      {{.account = "abc", .account_key = "secret"}, "'account_key'"},
      {{.account = "abc", .sas_token = "secret"}, "'sas_token'"},
      {{.account = "abc", .sas_token = "sig=secret with space"}, "'sas_token'"},
      {{.endpoint = "http://a.example", .sas_token = "sig=secret"}, "'endpoint'"},
      {{.account = "abc", .client_id = "id"}, "'client_secret'"},
      {{.account = "abc", .client_id = "id", .client_secret = "secret"}, "'tenant'"},
      {{.endpoint = "https://a.example", .tenant = "t", .client_id = "id", .client_secret = "secret"},
       "'account'"},
      {{.endpoint = "http://a.example",
        .account = "abc",
        .tenant = "t",
        .client_id = "id",
        .client_secret = "secret"},
       "'endpoint'"},
      {{.account = "abc",
        .client_id = "id",
        .client_secret = "secret",
        .token_endpoint = "http://login.example"},
       "'token_endpoint'"},
  };
  for (const auto& c : cases) {
    const auto access = choose_access(c.options);
    ASSERT_FALSE(access) << c.expected;
    EXPECT_EQ(access.error().status, OTAGATE_INVALID);
    EXPECT_THAT(access.error().message, HasSubstr(c.expected));
    EXPECT_THAT(access.error().message, Not(HasSubstr("secret with")));
    EXPECT_THAT(access.error().message, Not(HasSubstr("=secret")));
  }
}

}  // namespace
}  // namespace otagate::azure
