// The shipped configuration and every snippet of the documentation must be accepted as they stand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/load.hpp"

namespace otagate::config {
namespace {

namespace fs = std::filesystem;
const fs::path kRoot = fs::path(OTAGATE_TEST_DATA) / "../../../..";

std::string contents(const fs::path& file) {
  std::ifstream in(file);
  EXPECT_TRUE(in) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Takes the "#" off every line that holds a setting.
std::string with_all_settings(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool setting = line.size() > 1 && line[0] == '#' &&
                         (std::islower(static_cast<unsigned char>(line[1])) || line[1] == '[');
    out += (setting ? line.substr(1) : line) + '\n';
  }
  return out;
}

struct Snippet {
  std::string where;
  std::string text;
};

// The ```toml blocks whose first line is the comment `# otagate.toml`.
std::vector<Snippet> snippets(const fs::path& file) {
  std::vector<Snippet> found;
  std::istringstream in(contents(file));
  std::size_t number = 0;
  bool inside = false, first = false, ours = false;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    const std::string_view shown = std::string_view(line).substr(indent);
    if (!inside) {
      inside = first = shown.starts_with("```toml");
      ours = false;
    } else if (shown.starts_with("```")) {
      inside = false;
    } else {
      if (first && shown.starts_with("# otagate.toml")) {
        ours = true;
        found.push_back({file.string() + ':' + std::to_string(number), ""});
      }
      first = false;
      if (ours) found.back().text += line + '\n';
    }
  }
  return found;
}

std::string problems(const std::string& name, const std::string& text) {
  const LoadResult result = load_text({{name, text}}, {.read_secrets = false});
  return result ? "" : to_string(result.error());
}

TEST(ShippedConfig, IsAccepted) {
  const std::string text = contents(kRoot / "config/otagate.toml");
  EXPECT_EQ(problems("otagate.toml", text), "");
}

TEST(ShippedConfig, EverySettingInItIsAccepted) {
  const std::string text = with_all_settings(contents(kRoot / "config/otagate.toml"));
  const LoadResult result = load_text({{"otagate.toml", text}}, {.read_secrets = false});
  ASSERT_TRUE(result) << to_string(result.error());
  EXPECT_EQ(result->stores.size(), 3u);
  EXPECT_EQ(result->transports.size(), 2u);
  EXPECT_EQ(result->credentials.size(), 2u);
  EXPECT_TRUE(result->metrics.listen);
}

TEST(ShippedConfig, TheDefaultsItNamesAreTheDefaults) {
  // Removing every "#" but of examples must change nothing: state what differs from an empty file.
  const LoadResult written =
      load_text({{"otagate.toml", with_all_settings(contents(kRoot / "config/otagate.toml"))}},
                {.read_secrets = false});
  const LoadResult empty = load_text({{"empty", ""}});
  ASSERT_TRUE(written && empty);
  Cache cache = written->cache;
  EXPECT_EQ(cache.min_free, empty->cache.min_free);
  cache.min_free_percent = empty->cache.min_free_percent;
  EXPECT_EQ(cache, empty->cache);
  EXPECT_EQ(written->events, empty->events);
  EXPECT_EQ(written->security, empty->security);
  EXPECT_EQ(written->daemon.state_dir, empty->daemon.state_dir);
  EXPECT_EQ(written->daemon.drain_timeout, empty->daemon.drain_timeout);
  EXPECT_EQ(written->api.socket, empty->api.socket);
  EXPECT_EQ(written->api.mode, empty->api.mode);
  EXPECT_EQ(written->api.group, empty->api.group);
  EXPECT_EQ(written->log.level, empty->log.level);
  EXPECT_EQ(written->log.format, empty->log.format);
  const Store& store = written->stores[0];
  EXPECT_EQ(store.retry, Store{}.retry);
  EXPECT_EQ(store.interval, Store{}.interval);
  EXPECT_EQ(store.priority, Store{}.priority);
  EXPECT_EQ(store.require, Store{}.require);
  EXPECT_EQ(store.metadata, Store{}.metadata);
  EXPECT_EQ(store.stream_unverified, Store{}.stream_unverified);
  EXPECT_EQ(store.timeout, Store{}.timeout);
  EXPECT_EQ(store.redirect, Store{}.redirect);
  EXPECT_EQ(store.expiry, Store{}.expiry);
  EXPECT_EQ(store.isolation, Store{}.isolation);
}

TEST(Documentation, EveryConfigurationSnippetIsAccepted) {
  std::vector<fs::path> files;
  if (fs::exists(kRoot / "README.md")) files.push_back(kRoot / "README.md");
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "plugins"))
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  ASSERT_FALSE(files.empty());
  for (const fs::path& file : files)
    for (const Snippet& snippet : snippets(file))
      EXPECT_EQ(problems(snippet.where, snippet.text), "") << snippet.text;
}

TEST(Documentation, SnippetsAreFound) {
  const fs::path file = fs::path(OTAGATE_TEST_DATA) / "snippets.md";
  const std::vector<Snippet> found = snippets(file);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(problems("one", found[0].text), "");
  EXPECT_THAT(problems("two", found[1].text), ::testing::HasSubstr("did you mean \"cache\"?"));
}

}  // namespace
}  // namespace otagate::config
