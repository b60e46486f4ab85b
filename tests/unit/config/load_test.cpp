#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

namespace otagate::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

LoadResult read(const std::string& text, bool read_secrets = true) {
  return load_text({{"test.toml", text}}, {read_secrets});
}

std::string problems(const std::string& text) {
  const LoadResult result = read(text);
  return result ? "" : to_string(result.error());
}

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/otagate-config-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text, mode_t mode = 0640) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }

  fs::path folder_;
};

TEST(Load, AnEmptyFileGivesTheDefaults) {
  const LoadResult result = read("");
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->daemon.state_dir, "/var/lib/otagate");
  EXPECT_EQ(result->daemon.drain_timeout, 30s);
  EXPECT_FALSE(result->daemon.name.empty());
  EXPECT_EQ(result->daemon.plugin_dirs.back(), "/usr/local/lib/otagate/plugins");
  EXPECT_EQ(result->api.socket, "/run/otagate/api.sock");
  EXPECT_EQ(result->api.mode, 0660u);
  EXPECT_FALSE(result->metrics.listen);
  EXPECT_EQ(result->cache.dir, "/var/lib/otagate/cache");
  EXPECT_EQ(result->cache.segment_size, 256u << 10);
  EXPECT_EQ(result->security.trusted_networks.size(), 8u);
  EXPECT_TRUE(result->stores.empty());
}

TEST(Load, ReadsEverySettingOfAStore) {
  const LoadResult result = read(R"(
[[store]]
name = "s3-main"
plugin = "s3"
priority = 200
interval = "1m"
require = "format"
require_types = { esp32 = "digest" }
pattern = "{type}/{name}-{version}.bin"
index = "c8y"
metadata = "always"
prefetch = true
stream_unverified = false
bandwidth = "4MiB/s"
timeout = "10s"
retry = { attempts = 3, initial = "500ms", max = "1m" }
expiry = "5m"
isolation = "inline"
[store.options]
bucket = "firmware"
tls = { ca_file = "/etc/ca.pem" }
)");
  ASSERT_TRUE(result) << to_string(result.error());
  const Store* store = result->find_store("s3-main");
  ASSERT_TRUE(store);
  EXPECT_EQ(store->plugin, "s3");
  EXPECT_EQ(store->priority, 200);
  EXPECT_EQ(store->interval, 1min);
  EXPECT_EQ(store->require_for("nrf52"), Require::format);
  EXPECT_EQ(store->require_for("esp32"), Require::digest);
  EXPECT_THAT(store->pattern, ElementsAre("{type}/{name}-{version}.bin"));
  ASSERT_EQ(store->index.size(), 1u);
  EXPECT_EQ(store->index[0].versions, "c8y-firmware-versions.json");
  EXPECT_EQ(store->metadata, MetadataUse::always);
  EXPECT_EQ(store->prefetch, true);
  EXPECT_FALSE(store->stream_unverified);
  EXPECT_EQ(store->bandwidth, 4u << 20);
  EXPECT_EQ(store->retry.attempts, 3u);
  EXPECT_EQ(store->retry.initial, 500ms);
  EXPECT_EQ(store->expiry, 5min);
  EXPECT_EQ(*store->options.find("tls.ca_file")->as_string(), "/etc/ca.pem");
  EXPECT_EQ(store->options.get("bucket")->where().line, 20u);
  EXPECT_EQ(store->where.line, 2u);
}

TEST(Load, ReportsAllProblemsAtOnceEachWithItsLine) {
  const std::string text = problems(R"([daemon]
drain_timeout = 30
[cache]
max_size = "20 MiBs"
fills = 0
[[store]]
name = "Main"
intervall = "5m"
)");
  EXPECT_THAT(text, HasSubstr("test.toml:2:17: daemon.drain_timeout: is an integer"));
  EXPECT_THAT(text, HasSubstr("test.toml:4:12: cache.max_size: \"20 MiBs\" is not a size"));
  EXPECT_THAT(text, HasSubstr("test.toml:5:9: cache.fills: 0 is out of range"));
  EXPECT_THAT(text, HasSubstr("test.toml:7:8: store[1].name: is not usable as a name"));
  EXPECT_THAT(text, HasSubstr("test.toml:6:1: store[1].plugin: is missing"));
  EXPECT_THAT(text,
              HasSubstr("test.toml:8:13: store[1].intervall: unknown setting; did you mean \"interval\"?"));
}

struct Bad {
  const char* text;
  const char* wanted;
};
constexpr Bad kRefused[] = {

    Bad{"[chache]", "chache: unknown setting; did you mean \"cache\"?"},
    Bad{"[store]\nname='a'", "write [[store]] with two brackets"},
    Bad{"store = 1", "with two brackets"},
    Bad{"cache = 1", "is an integer, not a table; write [cache]"},
    Bad{"[daemon", "not valid TOML"},
    Bad{"[daemon]\nname = nan", "nan and inf are not accepted"},
    Bad{"[daemon]\nname = '\\u0000'\nstate_dir='state'", "is not an absolute path"},
    Bad{"[daemon]\nplugin_dirs = []", "is empty; name a folder"},
    Bad{"[daemon]\nplugin_dirs = ['a', 3]", "has an integer in it"},
    Bad{"[api]\nmode = 0o660", "write it in quotes: mode = \"0660\""},
    Bad{"[api]\nmode = '0666'", "would let every user of this machine administer"},
    Bad{"[api]\nmode = 'rw'", "is not a file mode"},
    Bad{"[api]\nlisten = '127.0.0.1:8081'", "needs a token"},
    Bad{"[api]\nlisten = 'localhost'", "is not an address and port"},
    Bad{"[api]\nlisten = '::1:80'", "is not an address and port"},
    Bad{"[api]\nlisten = '127.0.0.1:0'", "is not an address and port"},
    Bad{"[api]\nlisten = '127.0.0.1:65536'", "is not an address and port"},
    Bad{"[api]\ntoken = 'hunter2hunter2hunter2'", "write { file = \"/path\" }"},
    Bad{"[api]\ntoken = { file = 'rel' }", "not absolute"},
    Bad{"[api]\ntoken = { files = '/x' }", "is not the place of a secret"},
    Bad{"[api]\ntoken = { credential = '../x' }", "a name without slashes"},
    Bad{"[api]\ntoken = { file = '/x', env = 'X' }", "is not the place of a secret"},
    Bad{"[api]\ntoken = { file = '/nonexistent/otagate' }", "No such file"},
    Bad{"[api]\ntoken = { env = 'OTAGATE_TEST_UNSET' }", "is not set"},
    Bad{"[cache]\nmin_free = '5 %'", "is not a share"},
    Bad{"[cache]\nmin_free = '95%'", "is not a share"},
    Bad{"[cache]\nsegment_size = '100KiB'", "multiple of 64KiB"},
    Bad{"[cache]\nmax_size = '1GiB'\nmax_blob_size = '2GiB'", "is more than max_size (1GiB)"},
    Bad{"[cache]\nttl = '5s'", "shorter than a minute"},
    Bad{"[cache]\nscrub_rate = '4MiB'", "is not a rate"},
    Bad{"[log]\nlevel = 'warning'", "did you mean \"warn\"?"},
    Bad{"[log.levels]\ncache = 'loud'", "log.levels.cache: \"loud\" is not known"},
    Bad{"[events]\nmax_count = 3", "out of range"},
    Bad{"[security]\ntrusted_networks = ['10.0.0.0/33']", "is not a network"},
    Bad{"[security]\ntrusted_networks = ['fe80::/x']", "is not a network"},
    Bad{"[api]\nlisten='127.0.0.1:1'\n[metrics]\nlisten='127.0.0.1:1'", "is api.listen too"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\ninterval='9s'", "write at least \"10s\""},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nisolation='process'", "are not supported by this version"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nisolation='thread'", "\"thread\" is not known"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nredirect=true\nrequire='digest'", "past the gateway"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nrequire='sha256'", "write one of \"none\", \"length\""},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nrequire='signature'", "no keys to check them with"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nrequire_types={x='signature'}", "no keys to check them with"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nrequire_types={x='diget'}", "did you mean \"digest\"?"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nindex='json'", "\"json\" is not known"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nindex=[{firmware=''}]", "the key of an index file is empty"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\nretry={initial='1m',max='1s'}", "shorter than initial"},
    Bad{"[[store]]\nname='a'\nplugin='s3'\noptions=3", "write [store.options] below it"},
    Bad{"[[store]]\nname='local'\nplugin='s3'", "built-in store"},
    Bad{"[[store]]\nname='a'\nplugin='../x'", "is not the name of a plugin"},
    Bad{"[[credential]]\nname='a'", "kind: is missing"},
    Bad{"[[credential]]\nname='a'\nkind='token'\nuser='u'", "means nothing for a token"},
    Bad{"[[credential]]\nname='a'\nkind='basic'\nuser='a:b'", "contains a colon"},
    Bad{"[[credential]]\nname='a'\nkind='token'\ndevice='d'\ntype='t'", "are both given"},
    Bad{"[[credential]]\nname='a'\nkind='token'", "are both missing"},
    Bad{"[[credential]]\nname='a'\nkind='token'\ntype='t'\nstores=['x']", "there is no store \"x\""}};

TEST(Load, RefusesWithWhatToWriteInstead) {
  for (const Bad& bad : kRefused) EXPECT_THAT(problems(bad.text), HasSubstr(bad.wanted)) << bad.text;
}

TEST(Load, NeverShowsWhatWasWrittenWhereASecretBelongs) {
  for (const char* token :
       {"'hunter2hunter2'", "['hunter2hunter2']", "{ value = 'hunter2hunter2' }",
        "{ file = 'hunter2hunter2' }", "{ credential = 'hunter2/hunter2' }", "{ env = 'hunter2=hunter2' }"}) {
    const std::string text = problems(std::string("[api]\ntoken = ") + token);
    EXPECT_NE(text, "") << token;
    EXPECT_THAT(text, Not(HasSubstr("hunter2"))) << token;
  }
}

TEST(Load, TheSameNameTwiceNamesBothPlaces) {
  const LoadResult result = load_text({{"a.toml", "[[store]]\nname='x'\nplugin='s3'"},
                                       {"conf.d/b.toml", "\n[[store]]\nname='x'\nplugin='s3'"}});
  ASSERT_FALSE(result);
  EXPECT_THAT(to_string(result.error()),
              HasSubstr("conf.d/b.toml:2:1: store.x: the name is already used at a.toml:1:1"));
}

TEST(Load, DropInsMergeTablesReplaceScalarsAndAppendInstances) {
  const LoadResult result = load_text({
      {"main", "[cache]\nmax_size='1GiB'\nfills=2\n[log.levels]\na='info'\n[[store]]\nname='x'\nplugin='s3'"},
      {"drop", "[cache]\nfills=3\n[log.levels]\nb='warn'\n[[store]]\nname='y'\nplugin='s3'"},
  });
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->cache.max_size, 1u << 30);
  EXPECT_EQ(result->cache.fills, 3u);
  EXPECT_EQ(result->log.levels.size(), 2u);
  ASSERT_EQ(result->stores.size(), 2u);
  EXPECT_EQ(result->stores[1].name, "y");
}

TEST(Load, MinFreeIsASizeOrAShare) {
  EXPECT_EQ(read("[cache]\nmin_free='1GiB'")->cache.min_free, 1u << 30);
  EXPECT_EQ(read("[cache]\nmin_free='1GiB'")->cache.min_free_percent, 0);
  EXPECT_EQ(read("[cache]\nmin_free='10%'")->cache.min_free, 0u);
  EXPECT_EQ(read("[cache]\nmin_free='10%'")->cache.min_free_percent, 10);
}

TEST(Load, HostileNestingIsRefusedNotFollowed) {
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_THAT(problems(dotted + " = 1"), HasSubstr("more than 64 dots"));
  EXPECT_THAT(problems("x = {" + dotted + " = 1}"), HasSubstr("more than 64 dots"));
  EXPECT_THAT(problems("[" + dotted + "]"), HasSubstr("more than 64 dots"));
  EXPECT_NE(problems("x = " + std::string(100'000, '[')), "");
  std::string nested = "1";
  for (int i = 0; i < 60; ++i) nested = "[" + nested + "]";
  EXPECT_THAT(problems("x = " + nested), HasSubstr("nested deeper than 32"));
  EXPECT_THAT(problems(std::string((1 << 20) + 1, '#')), HasSubstr("larger than 1 MiB"));
}

// Under UBSan these ended in code that toml++ declares unreachable.
TEST(Load, LettersBeyondAsciiBelongIntoQuotes) {
  EXPECT_EQ(problems("[daemon]\nname = '\u00fc\u0342'"), "");
  EXPECT_EQ(problems("[daemon]\nname = \"\"\"a\\\n  \u00fc\"\"\""), "");
  for (const char* text :
       {"x = \u0342", "\u00fc = 1", "[\u00fc]", "x = 1 \u00fc", "x = [1\u20281]", "x = 1\u30002"})
    EXPECT_THAT(problems(text), HasSubstr("not valid TOML")) << text;
}

TEST(Load, DatesInOptionsAreTexts) {
  const LoadResult result = read("[[store]]\nname='a'\nplugin='s3'\noptions={since=2024-05-01}");
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(*result->stores[0].options.get("since")->as_string(), "2024-05-01");
}

TEST_F(Folder, ReadsConfDInNameOrder) {
  const fs::path main = write("otagate.toml", "[cache]\nfills = 1\n");
  write("conf.d/20-b.toml", "[cache]\nfills = 3\n");
  write("conf.d/10-a.toml", "[cache]\nfills = 2\n[daemon]\nname = 'edge'\n");
  write("conf.d/30-c.toml.dpkg-old", "[cache]\nfills = 4\n");
  write("conf.d/.40-d.toml", "[cache]\nfills = 5\n");
  const LoadResult result = load(main);
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->cache.fills, 3u);
  EXPECT_EQ(result->daemon.name, "edge");
  EXPECT_THAT(result->files, ElementsAre(main, folder_ / "conf.d/10-a.toml", folder_ / "conf.d/20-b.toml"));
}

TEST_F(Folder, NamesTheFileThatCannotBeRead) {
  EXPECT_THAT(to_string(load(folder_ / "none.toml").error()),
              AllOf(HasSubstr("none.toml: no such file"), HasSubstr("--config FILE")));
  EXPECT_THAT(to_string(load(folder_).error()), HasSubstr("is not a regular file"));
  const fs::path main = write("otagate.toml", "");
  fs::create_symlink("/nonexistent", (fs::create_directory(folder_ / "conf.d"), folder_ / "conf.d/x.toml"));
  EXPECT_THAT(to_string(load(main).error()), HasSubstr("conf.d/x.toml: no such file"));
}

TEST_F(Folder, ReadsSecretsAndStripsOneNewline) {
  const fs::path token = write("token", "0123456789abcdef\n");
  const LoadResult result =
      read("[[credential]]\nname='a'\nkind='token'\ntype='t'\nsecret={file='" + token.string() + "'}");
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->credentials[0].secret.reveal(), "0123456789abcdef");
  EXPECT_TRUE(result->credentials[0].secret.matches("0123456789abcdef"));
  EXPECT_FALSE(result->credentials[0].secret.matches("0123456789abcdeF"));
  EXPECT_EQ(::testing::PrintToString(result->credentials[0].secret), "***");
  EXPECT_TRUE(result->warnings.empty());
}

TEST_F(Folder, ASecretThatEverybodyCanReadIsAWarning) {
  const fs::path token = write("token", "0123456789abcdef", 0644);
  const LoadResult result = read("[api]\nlisten='127.0.0.1:8081'\ntoken={file='" + token.string() + "'}");
  ASSERT_TRUE(result) << to_string(result.error());
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_THAT(result->warnings[0].to_string(), HasSubstr("run: chmod o= " + token.string()));
}

TEST_F(Folder, ASecretFileMustBeARegularSmallNonEmptyFile) {
  const auto refused = [&](const fs::path& path) {
    return problems("[api]\ntoken={file='" + path.string() + "'}");
  };
  EXPECT_THAT(refused(folder_), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(refused(folder_ / "fifo"), HasSubstr("not a regular file"));
  EXPECT_THAT(refused(write("empty", "\n")), HasSubstr("is empty"));
  EXPECT_THAT(refused(write("big", std::string(65'537, 'x'))), HasSubstr("larger than 64 KiB"));
  EXPECT_THAT(refused(write("short", "hunter2")),
              AllOf(HasSubstr("shorter than 16"), Not(HasSubstr("hunter2"))));
}

TEST_F(Folder, ReadsSystemdCredentials) {
  write("api-token", "0123456789abcdef\n", 0444);
  const std::string text = "[api]\ntoken = { credential = 'api-token' }";
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_THAT(problems(text), HasSubstr("LoadCredential=api-token"));
  ::setenv("CREDENTIALS_DIRECTORY", folder_.c_str(), 1);
  const LoadResult result = read(text);
  ::unsetenv("CREDENTIALS_DIRECTORY");
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->api.token.reveal(), "0123456789abcdef");
  EXPECT_TRUE(result->warnings.empty());
}

TEST_F(Folder, TwoCredentialsWithOneTokenAreRefusedWithoutShowingIt) {
  const fs::path token = write("token", "0123456789abcdef");
  const std::string one = "kind='token'\ntype='t'\nsecret={file='" + token.string() + "'}\n";
  const std::string text = problems("[[credential]]\nname='a'\n" + one + "[[credential]]\nname='b'\n" + one);
  EXPECT_THAT(text, AllOf(HasSubstr("has the same token as credential.a"), Not(HasSubstr("0123456789"))));
}

TEST_F(Folder, WithoutReadingSecretsOnlyTheirFormIsChecked) {
  const std::string text = "[api]\ntoken = { file = '/nonexistent/otagate' }";
  EXPECT_FALSE(read(text));
  const LoadResult result = read(text, false);
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->api.token_source.name, "/nonexistent/otagate");
  EXPECT_FALSE(read("[api]\ntoken = 'x'", false));
}

}  // namespace
}  // namespace otagate::config
