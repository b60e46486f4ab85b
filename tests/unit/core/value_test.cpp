#include "core/value.hpp"

#include <gtest/gtest.h>

#include "core/redact.hpp"

namespace otagate {
namespace {

Value sample() {
  Value tls = Value::Table{};
  tls.set("ca_file", "/etc/ca.pem");
  Value token("hunter2");
  token.mark_secret();
  Value root = Value::Table{};
  root.set("bucket", "firmware");
  root.set("port", 9000);
  root.set("hosts", Value::Array{"a", "b"});
  root.set("tls", tls);
  root.set("token", token);
  return root;
}

TEST(Value, FindsByDottedPath) {
  const Value value = sample();
  ASSERT_TRUE(value.find("tls.ca_file"));
  EXPECT_EQ(*value.find("tls.ca_file")->as_string(), "/etc/ca.pem");
  EXPECT_EQ(*value.find("hosts.1")->as_string(), "b");
  for (const char* path : {"", "tls.none", "hosts.2", "hosts.x", "hosts.", "bucket.deeper", "port.0"})
    EXPECT_EQ(value.find(path), nullptr) << path;
}

TEST(Value, JsonForThePluginHasTheSecretAndTheRedactedOneHasNot) {
  EXPECT_EQ(
      to_json(sample()),
      R"({"bucket":"firmware","port":9000,"hosts":["a","b"],"tls":{"ca_file":"/etc/ca.pem"},"token":"hunter2"})");
  EXPECT_EQ(to_redacted_json(sample()).find("hunter2"), std::string::npos);
}

TEST(Value, EqualityLooksAtContentNotAtPlace) {
  Value moved = sample();
  moved.set_where({"other.toml", 99, 1});
  EXPECT_EQ(moved, sample());
  Value rotated = sample();
  rotated.set_fingerprint("00");
  EXPECT_NE(rotated, sample());
  Value port = sample();
  port.set("port", 9001);
  EXPECT_NE(port, sample());
}

TEST(Redact, HidesTextUnderNamesThatPromiseASecret) {
  for (const char* name :
       {"password", "secret_key", "secret-key", "AuthToken", "connection_string", "sas", "psk", "device_psk"})
    EXPECT_EQ(redacted_text(name, "hunter2"), "***") << name;
  for (const char* name : {"bucket", "token_file", "assassin", "region", "password_path"})
    EXPECT_EQ(redacted_text(name, "plain"), "plain") << name;
}

TEST(Redact, HidesPasswordsAndQueriesOfUrls) {
  EXPECT_EQ(redacted_text("proxy", "http://joe:hunter2@proxy:3128/x"), "http://joe:***@proxy:3128/x");
  EXPECT_EQ(redacted_text("proxy", "http://joe:hun@ter2@proxy"), "http://joe:***@proxy");
  EXPECT_EQ(redacted_text("proxy", "http://hunter2@proxy"), "http://***@proxy");
  EXPECT_EQ(redacted_text("url", "https://h/c?sig=hunter2"), "https://h/c?***");
  EXPECT_EQ(redacted_text("url", "https://h:9000/a@b"), "https://h:9000/a@b");
}

}  // namespace
}  // namespace otagate
