#include "plugin/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support.hpp"

namespace otagate::plugin {
namespace {

using testing::install;
using testing::Listener;
using testing::TempDir;

PluginInfo find(const Registry& registry, const std::string& id) {
  for (const PluginInfo& info : registry.plugins())
    if (info.id == id) return info;
  ADD_FAILURE() << "no plugin " << id;
  return {};
}

TEST(Registry, ScanningOpensNoPlugin) {
  const TempDir folder;
  install(folder.path(), "misbehave", {{"permissions", "[\"network\"]"}});
  testing::write_file(folder.path() / "broken.plugin.toml", "id = \n");
  Listener listener;
  Registry registry(testing::settings(folder.path()), listener);
  EXPECT_TRUE(registry.plugins().empty());
  registry.scan();
  ASSERT_EQ(registry.plugins().size(), 2u);
  const PluginInfo info = find(registry, "misbehave");
  EXPECT_FALSE(info.loaded);
  EXPECT_TRUE(info.version.empty());
  EXPECT_EQ(info.permissions, std::vector<std::string>{"network"});
  EXPECT_NE(find(registry, "broken.plugin.toml").problem.find("broken.plugin.toml:1"), std::string::npos);
}

TEST(Registry, LoadsOnFirstUseAndKeepsIt) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  Listener listener;
  Registry registry(testing::settings(folder.path()), listener);
  registry.scan();
  const auto schema = registry.options_schema("misbehave", Kind::store);
  ASSERT_TRUE(schema) << schema.error().message();
  EXPECT_EQ(*schema, R"({"type": "object"})");
  EXPECT_TRUE(find(registry, "misbehave").loaded);
  EXPECT_EQ(find(registry, "misbehave").summary, "breaks rules");
  std::filesystem::remove(folder.path() / "misbehave.so");
  std::filesystem::remove(folder.path() / "misbehave.plugin.toml");
  registry.scan();
  EXPECT_TRUE(registry.options_schema("misbehave", Kind::store)) << "what is loaded stays";
}

TEST(Registry, SaysWhatThereIsWhenAPluginIsMissing) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  Listener listener;
  Registry registry(testing::settings(folder.path()), listener);
  registry.scan();
  const auto schema = registry.options_schema("s4", Kind::store);
  ASSERT_FALSE(schema);
  EXPECT_EQ(schema.error().code(), Code::not_found);
  EXPECT_NE(schema.error().message().find("there are: misbehave"), std::string::npos)
      << schema.error().message();
  EXPECT_NE(registry.options_schema("misbehave", Kind::transport).error().message().find("is no transport"),
            std::string::npos);
}

TEST(Registry, APluginThatCannotLoadIsShownAndTheRestRuns) {
  const TempDir folder;
  install(folder.path(), "leaky");
  install(folder.path(), "misbehave");
  Listener listener;
  Registry registry(testing::settings(folder.path()), listener);
  registry.scan();
  EXPECT_FALSE(registry.create_store({"bad", "leaky", nullptr}, listener));
  EXPECT_TRUE(registry.create_store({"good", "misbehave", nullptr}, listener));
  const auto instances = registry.instances();
  ASSERT_EQ(instances.size(), 2u);
  EXPECT_EQ(instances[0].state, InstanceState::failed);
  EXPECT_NE(instances[0].reason.find("version script"), std::string::npos);
  EXPECT_EQ(instances[1].state, InstanceState::running);
  EXPECT_NE(find(registry, "leaky").problem.find("version script"), std::string::npos);
  EXPECT_NE(listener.wait("state:failed").find("version script"), std::string::npos);
}

TEST(Registry, TheFirstFolderWins) {
  const TempDir first, second;
  install(first.path(), "misbehave", {{"permissions", "[\"first\"]"}});
  install(second.path(), "misbehave", {{"permissions", "[\"second\"]"}});
  Listener listener;
  auto settings = testing::settings(first.path());
  settings.folders = {first.path() / "none", first.path(), second.path()};
  Registry registry(settings, listener);
  registry.scan();
  ASSERT_EQ(registry.plugins().size(), 1u);
  EXPECT_EQ(find(registry, "misbehave").permissions, std::vector<std::string>{"first"});
}

TEST(Registry, RefusedInstancesAreShownUntilTheyAreReplaced) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  Listener listener;
  Registry registry(testing::settings(folder.path()), listener);
  registry.scan();
  registry.refuse({"main", "misbehave", nullptr}, Kind::store, "otagate.toml:4: no such option");
  ASSERT_EQ(registry.instances().size(), 1u);
  EXPECT_EQ(registry.instances()[0].reason, "otagate.toml:4: no such option");
  EXPECT_TRUE(registry.create_store({"main", "misbehave", nullptr}, listener));
  ASSERT_EQ(registry.instances().size(), 1u);
  EXPECT_EQ(registry.instances()[0].state, InstanceState::running);
}

TEST(Registry, EndsWithInstancesOpenAndOneHung) {
  const TempDir folder;
  install(folder.path(), "misbehave");
  Listener listener;
  auto registry = std::make_unique<Registry>(testing::settings(folder.path()), listener);
  registry->scan();
  const auto options = [](const char* mode) {
    return std::make_shared<testing::Options>(testing::Options{{"mode", mode}});
  };
  auto good = registry->create_store({"good", "misbehave", options("block")}, listener);
  auto stuck = registry->create_store({"stuck", "misbehave", options("hang")}, listener);
  ASSERT_TRUE(good && stuck);
  testing::Answer<ListPage> one, two;
  (*good)->list("", 1, testing::milliseconds(60'000), one.reply());
  (*stuck)->list("", 1, testing::milliseconds(60'000), two.reply());
  const auto begin = std::chrono::steady_clock::now();
  registry.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(one.get().error().code(), Code::cancelled);
}

}  // namespace
}  // namespace otagate::plugin
