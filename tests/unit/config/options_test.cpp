#include "config/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "config/load.hpp"

namespace otagate::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSchema = R"({
  "type": "object",
  "properties": {
    "bucket": {"type": "string", "minLength": 3, "pattern": "^[a-z0-9.-]+$", "description": "name of the bucket"},
    "region": {"type": "string", "default": "us-east-1"},
    "addressing": {"type": "string", "enum": ["path", "virtual"], "default": "path"},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "anonymous": {"type": "boolean"},
    "ratio": {"type": "number"},
    "secret_key": {"type": "string", "format": "secret", "minLength": 8},
    "poll": {"type": "integer", "format": "duration", "minimum": 1000, "default": 5000},
    "block": {"type": "integer", "format": "size", "maximum": 1048576},
    "rate": {"type": "integer", "format": "rate"},
    "label": {"type": "string", "format": "duration"},
    "hosts": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2},
    "users": {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {
      "name": {"type": "string"}, "password": {"type": "string", "format": "secret"}}}},
    "tls": {"type": "object", "properties": {"ca_file": {"type": "string"}, "verify": {"type": "boolean", "default": true}}},
    "labels": {"type": "object", "additionalProperties": {"type": "string"}}
  },
  "required": ["bucket"]
})";

// The options as the daemon sees them: with lines.
Value options(const std::string& text) {
  const LoadResult result =
      load_text({{"t.toml", "[[store]]\nname='main'\nplugin='s3'\n[store.options]\n" + text}}, {false});
  EXPECT_TRUE(result) << to_string(result.error());
  return result ? result->stores[0].options : Value(Value::Table{});
}

const Location kInstance{"t.toml", 1, 1};
const OptionsOwner kOwner{"store", "main", "s3", &kInstance};

ResolvedOptions resolved(const std::string& text) { return resolve_options(options(text), kSchema, kOwner); }
std::string problems(const std::string& text) { return to_string(resolved(text).problems); }

TEST(ResolveOptions, AppliesDefaultsAtEveryLevel) {
  const ResolvedOptions result = resolved("bucket='firmware'\n[store.options.tls]\nca_file='/x'");
  EXPECT_EQ(to_string(result.problems), "");
  EXPECT_EQ(to_json(result.options),
            R"({"bucket":"firmware","tls":{"ca_file":"/x","verify":true},"region":"us-east-1",)"
            R"("addressing":"path","poll":5000})");
}

TEST(ResolveOptions, TurnsUnitsIntoNumbersWhereThePluginWantsNumbers) {
  const Value value = resolved("bucket='abc'\npoll='1m'\nblock='64KiB'\nrate='1MiB/s'\nlabel='5m'").options;
  EXPECT_EQ(*value.get("poll")->as_int(), 60'000);
  EXPECT_EQ(*value.get("block")->as_int(), 65'536);
  EXPECT_EQ(*value.get("rate")->as_int(), 1 << 20);
  EXPECT_EQ(*value.get("label")->as_string(), "5m");
}

struct Bad {
  const char* text;
  const char* wanted;
};
constexpr Bad kRefused[] = {

    Bad{"region='x'",
        "t.toml:4:1: store.main.options.bucket: is missing; add bucket = ... (name of the bucket)"},
    Bad{"bucket=7", "t.toml:5:8: store.main.options.bucket: is an integer but must be a text in quotes"},
    Bad{"bucket='ab'", "\"ab\" must have at least 3 characters; name of the bucket"},
    Bad{"bucket='AB_C'", "must match the pattern"},
    Bad{"bucket='abc'\nbuket='x'",
        "t.toml:6:7: store.main.options.buket: the plugin \"s3\" has no such option; did "
        "you mean \"bucket\"?"},
    Bad{"bucket='abc'\nzzz='x'", "its options are: bucket, region"},
    Bad{"bucket='abc'\naddressing='vitual'",
        "\"vitual\" must be one of \"path\", \"virtual\"; did you mean \"virtual\"?"},
    Bad{"bucket='abc'\nport='9000'", "\"9000\" must be a whole number, without quotes"},
    Bad{"bucket='abc'\nport=0", "0 must be at least 1"},
    Bad{"bucket='abc'\nport=70000", "must be at most 65535"},
    Bad{"bucket='abc'\nanonymous='yes'", "true or false, without quotes"},
    Bad{"bucket='abc'\npoll=30", "write for example poll = \"30s\""},
    Bad{"bucket='abc'\npoll='10ms'", "10 must be at least 1000"},
    Bad{"bucket='abc'\npoll='soon'", "is not a duration"},
    Bad{"bucket='abc'\nblock='2MiB'", "must be at most 1048576"},
    Bad{"bucket='abc'\nhosts=['a','b','c']", "must have at most 2 entries"},
    Bad{"bucket='abc'\nhosts=['a','']", "store.main.options.hosts.1: \"\" must have at least 1"},
    Bad{"bucket='abc'\nhosts='a'", "\"a\" must be a list"},
    Bad{"bucket='abc'\nusers=[{}]", "store.main.options.users.0.name: is missing"},
    Bad{"bucket='abc'\ntls={verfy=false}",
        "store.main.options.tls.verfy: the plugin \"s3\" has no such option; did "
        "you mean \"verify\"?"},
    Bad{"bucket='abc'\nlabels={a=1}", "store.main.options.labels.a: is an integer but must be a text"},
    Bad{"bucket='abc'\ntls=true", "must be a table"}};

TEST(ResolveOptions, RefusesWithLineAndWhatToWrite) {
  for (const Bad& bad : kRefused) EXPECT_THAT(problems(bad.text), HasSubstr(bad.wanted)) << bad.text;
}

TEST(ResolveOptions, ReportsEveryProblemAtOnce) {
  EXPECT_EQ(resolved("buket='x'\nport=0\nanonymous=3").problems.size(), 4u);
}

TEST(ResolveOptions, AcceptsWhatTheSchemaLeavesOpen) {
  EXPECT_EQ(problems("bucket='abc'\nlabels={a='x',b='y'}\nratio=1"), "");
}

TEST(ResolveOptions, ResolvesSecretsAndMarksThem) {
  ::setenv("OTAGATE_TEST_KEY", "correct horse", 1);
  const ResolvedOptions result = resolved(
      "bucket='abc'\nsecret_key={env='OTAGATE_TEST_KEY'}\n"
      "users=[{name='joe', password={env='OTAGATE_TEST_KEY'}}]");
  ::unsetenv("OTAGATE_TEST_KEY");
  ASSERT_EQ(to_string(result.problems), "");
  EXPECT_EQ(*result.options.get("secret_key")->as_string(), "correct horse");
  EXPECT_TRUE(result.options.get("secret_key")->secret());
  EXPECT_EQ(*result.options.find("users.0.password")->as_string(), "correct horse");
  EXPECT_THAT(to_json(result.options), HasSubstr("correct horse"));
  EXPECT_THAT(to_redacted_json(result.options), Not(HasSubstr("correct horse")));
}

TEST(ResolveOptions, NoProblemShowsASecret) {
  ::setenv("OTAGATE_TEST_KEY", "hunter2", 1);
  // Too short for minLength 8; written in clear; nested in clear.
  for (const char* text :
       {"secret_key={env='OTAGATE_TEST_KEY'}", "secret_key='hunter2'", "secret_key={file='hunter2'}",
        "users=[{name='joe', password='hunter2'}]", "secret_key=['hunter2']"}) {
    const std::string shown = problems(std::string("bucket='abc'\n") + text);
    EXPECT_NE(shown, "") << text;
    EXPECT_THAT(shown, Not(HasSubstr("hunter2"))) << text;
  }
  ::unsetenv("OTAGATE_TEST_KEY");
}

TEST(ValidateOptions, DoesNotReadSecrets) {
  EXPECT_TRUE(
      validate_options(options("bucket='abc'\nsecret_key={file='/nonexistent'}"), kSchema, kOwner).empty());
  EXPECT_FALSE(validate_options(options("bucket='abc'\nsecret_key='x'"), kSchema, kOwner).empty());
}

TEST(ResolveOptions, AMissingOptionsTablePointsToTheInstance) {
  const ResolvedOptions result = resolve_options(Value(), kSchema, kOwner);
  EXPECT_THAT(to_string(result.problems), HasSubstr("t.toml:1:1: store.main.options.bucket: is missing"));
}

TEST(ResolveOptions, AFaultySchemaIsThePluginsFault) {
  std::string deep = "{}";
  for (int i = 0; i < 40; ++i) deep = "{\"properties\":{\"a\":" + deep + "}}";
  const std::string endless = std::string(200'000, '[');
  for (const std::string& schema :
       {std::string("{"), std::string("[]"), std::string("true"), std::string(R"({"$ref":"#"})"),
        std::string(R"({"properties":{"a":{"$ref":"#/x"}}})"), deep, endless, std::string(300'000, ' ')}) {
    const Problems found = validate_options(Value(), schema, kOwner);
    ASSERT_EQ(found.size(), 1u) << schema.substr(0, 40);
    EXPECT_THAT(found[0].message, HasSubstr("the plugin \"s3\" is faulty"));
  }
}

TEST(ResolveOptions, ASchemaOfWrongTypesDoesNoHarm) {
  for (const char* schema :
       {R"({"properties": 3})", R"({"properties": {"bucket": 3}})", R"({"required": 3})",
        R"({"required": [3]})", R"({"additionalProperties": 3})",
        R"({"properties": {"bucket": {"type": 3, "enum": 4, "minimum": "x"}}})",
        R"({"properties": {"bucket": {"pattern": "(["}}})", R"({"properties": {"bucket": {"format": 3}}})",
        R"({"properties": {"bucket": {"anyOf": 3, "default": null}}})"})
    (void)validate_options(options("bucket='abc'"), schema, kOwner);
}

TEST(ResolveOptions, AnEmptySchemaMeansNoOptions) {
  EXPECT_TRUE(validate_options(Value(), "", kOwner).empty());
  EXPECT_THAT(to_string(validate_options(options("a=1"), "", kOwner)), HasSubstr("it has no options at all"));
}

}  // namespace
}  // namespace otagate::config
