#include "config/diff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "config/load.hpp"

namespace otagate::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config config(const std::string& text) {
  LoadResult result = load_text({{"test.toml", text}});
  EXPECT_TRUE(result) << to_string(result.error());
  return result ? std::move(*result) : Config{};
}

std::string store(const std::string& name, const std::string& more = "") {
  return "[[store]]\nname='" + name + "'\nplugin='directory'\n" + more + "\n";
}

TEST(Diff, TheSameTextAndMovedLinesAreNoChange) {
  EXPECT_TRUE(diff(config(store("a")), config(store("a"))).empty());
  EXPECT_TRUE(diff(config(store("a")), config("# moved down\n\n" + store("a"))).empty());
}

TEST(Diff, SortsInstancesIntoAddedRemovedChangedUnchanged) {
  const Diff d = diff(config(store("gone") + store("same") + store("other", "priority=1")),
                      config(store("other", "priority=2") + store("same") + store("new")));
  EXPECT_THAT(d.stores.added, ElementsAre("new"));
  EXPECT_THAT(d.stores.removed, ElementsAre("gone"));
  EXPECT_THAT(d.stores.changed, ElementsAre("other"));
  EXPECT_THAT(d.stores.unchanged, ElementsAre("same"));
  EXPECT_FALSE(d.empty());
}

TEST(Diff, ADisabledInstanceCountsAsAbsent) {
  EXPECT_THAT(diff(config(store("a")), config(store("a", "enabled=false"))).stores.removed, ElementsAre("a"));
  EXPECT_THAT(diff(config(store("a", "enabled=false")), config(store("a"))).stores.added, ElementsAre("a"));
  EXPECT_TRUE(diff(config(""), config(store("a", "enabled=false"))).empty());
}

TEST(Diff, AChangedOptionOrSecretChangesTheInstance) {
  EXPECT_THAT(diff(config(store("a", "options={x=1}")), config(store("a", "options={x=2}"))).stores.changed,
              ElementsAre("a"));
  const std::string text = store("a", "options={token={env='OTAGATE_TEST_TOKEN'}}");
  ::setenv("OTAGATE_TEST_TOKEN", "one", 1);
  const Config before = config(text);
  EXPECT_TRUE(diff(before, config(text)).empty());
  ::setenv("OTAGATE_TEST_TOKEN", "two", 1);
  EXPECT_THAT(diff(before, config(text)).stores.changed, ElementsAre("a"));
  ::unsetenv("OTAGATE_TEST_TOKEN");
}

TEST(Diff, SaysWhichSettingsNeedARestart) {
  const Diff d =
      diff(config(""), config("[daemon]\nstate_dir='/x'\n[log]\nlevel='debug'\n[cache]\nmax_size='1GiB'"));
  EXPECT_THAT(d.restart, ElementsAre("daemon.state_dir", "cache.dir"));
  EXPECT_THAT(d.applied, ElementsAre("cache.max_size", "log.level"));
  EXPECT_THAT(d.stores.added, IsEmpty());
}

}  // namespace
}  // namespace otagate::config
