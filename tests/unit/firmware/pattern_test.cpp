#include "firmware/pattern.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/identity.hpp"

namespace otagate::firmware {
namespace {

struct Case {
  const char* pattern;
  const char* key;
  const char* wanted;  // "type name version" with "-" for what is absent; "" for no match
};
std::string matched(const std::string& pattern, const std::string& key) {
  const Result<Pattern> compiled = Pattern::compile(pattern);
  if (!compiled) return compiled.error().message();
  const std::optional<PatternMatch> match = compiled->match(key);
  if (!match) return "";
  return match->type.value_or("-") + ' ' + match->name.value_or("-") + ' ' + match->version.value_or("-");
}

constexpr const char* kPlain = "{name}-{version}.bin";
constexpr Case kVersionStarts[] = {
    Case{kPlain, "app-1.2.3.bin", "- app 1.2.3"},
    Case{kPlain, "app-v1.2.3.bin", "- app 1.2.3"},
    Case{kPlain, "a-2-1.2.3-rc.1.bin", "- a-2 1.2.3-rc.1"},
    Case{kPlain, "a-2-v1.2.3-rc.1.bin", "- a-2 1.2.3-rc.1"},
    Case{kPlain, "my-app-1.2.3+7.bin", "- my-app 1.2.3+7"},
    Case{kPlain, "app-1.2.3-4.bin", "- app 1.2.3-4"},
    Case{kPlain, "app-1.2.3-1.0.0.bin", "- app-1.2.3 1.0.0"},
    Case{kPlain, "app-1.2.3-2.0.bin", "- app 1.2.3-2.0"},
    Case{kPlain, "u-boot-2023.01.bin", "- u-boot 2023.01"},
    Case{kPlain, "u-boot-2023.01-rc3.bin", "- u-boot 2023.01-rc3"},
    Case{kPlain, "u-boot-2023.01+dfsg-2+deb12u1.bin", "- u-boot 2023.01+dfsg-2+deb12u1"},
    Case{kPlain, "app-7.bin", "- app 7"},
    Case{kPlain, "app-2-3.bin", "- app-2 3"},
    Case{kPlain, "app-1.2.3.4.bin", "- app 1.2.3.4"},
    Case{kPlain, "rpi-4-uboot.bin", ""},
    Case{kPlain, "app.bin", ""},
    Case{kPlain, "-1.2.3.bin", ""},
    Case{kPlain, "app-.bin", ""},
    Case{kPlain, "app-1.2.3.hex", ""},
    Case{kPlain, "app-1.2.3.bin.bak", ""},
    Case{kPlain, "app_1.2.3.bin", ""},
    Case{"{name}_{version}.bin", "my_app_v1.2.3.bin", "- my_app 1.2.3"},
    Case{"{name}-{version}.bin", "folder/app-1.2.3.bin", ""},
    Case{"{version}.bin", "1.2.3.bin", "- - 1.2.3"},
    Case{"{version}-{name}.bin", "1.2.3-app.bin", "- app 1.2.3"}};

TEST(Pattern, FindsWhereTheVersionStarts) {
  for (const Case& c : kVersionStarts)
    EXPECT_EQ(matched(c.pattern, c.key), c.wanted) << c.pattern << " on " << c.key;
}

constexpr Case kFields[] = {
    Case{"{type}/{name}-{version}.bin", "esp32/app-1.2.3.bin", "esp32 app 1.2.3"},
    Case{"{type}/{name}-{version}.bin", "a/esp32/app-1.2.3.bin", ""},
    Case{"{type}/{name}-{version}.bin", "app-1.2.3.bin", ""},
    Case{"{type}/{name}/{version}/{any}", "nrf/modem/1.3.2/mfw.zip", "nrf modem 1.3.2"},
    Case{"{type}/{name}/{version}/*", "nrf/modem/1.3.2/", "nrf modem 1.3.2"},
    Case{"{type}-{name}-{version}.bin", "esp32-my-app-1.0.0.bin", "esp32 my-app 1.0.0"},
    Case{"{name}-{version}.{any}", "app-1.2.3.tar", "- app 1.2.3"},
    Case{"{name}-{version}.{any}", "app-1.2.3.signed.bin", "- app 1.2.3"},
    Case{"{name}-{version}.*", "app-1.2.bin", "- app 1.2"},
    Case{"fw/{name}.bin", "fw/app.bin", "- app -"},
    Case{"fw/{name}.bin", "fw/.bin", ""},
    Case{"**/{name}-{version}.bin", "a/b/c/app-1.2.3.bin", "- app 1.2.3"},
    Case{"**/{name}-{version}.bin", "app-1.2.3.bin", "- app 1.2.3"},
    Case{"**/{type}/{name}-{version}.bin", "a/b/app-1.2.3.bin", "b app 1.2.3"},
    Case{"fw/**/{name}-{version}.bin", "fw/app-1.2.3.bin", "- app 1.2.3"},
    Case{"fw/**/{name}-{version}.bin", "fw/x/y/app-1.2.3.bin", "- app 1.2.3"},
    Case{"fw/**/{name}-{version}.bin", "fwx/app-1.2.3.bin", ""},
    Case{"{name}-{version}/**/x.bin", "app-1.2.3/a/b/x.bin", "- app 1.2.3"},
    Case{"{name}-{version}/**/x.bin", "app-1.2.3/a/bx.bin", ""},
    Case{"{{{name}}}-{version}", "{app}-1.2.3", "- app 1.2.3"},
    Case{"{name}-{version}.bin", "\xc3\xbc-1.2.3.bin", "- \xc3\xbc 1.2.3"}};

TEST(Pattern, FillsItsFields) {
  for (const Case& c : kFields)
    EXPECT_EQ(matched(c.pattern, c.key), c.wanted) << c.pattern << " on " << c.key;
}

constexpr Case kErrors[] = {

    Case{"", "x",
         "the pattern \"\" is empty; write for example \"{type}/{name}-{version}.bin\" (at character 1)"},
    Case{"/{name}", "x",
         "the pattern \"/{name}\" begins with a slash; keys do not, so leave it out (at character 1)"},
    Case{"a}{name}", "x",
         "the pattern \"a}{name}\" has a } without its {; write }} for the character itself (at "
         "character 2)"},
    Case{"a{name", "x",
         "the pattern \"a{name\" has a { without its }; write {{ for the character itself (at character "
         "2)"},
    Case{"{nme}", "x",
         "the pattern \"{nme}\" has an unknown field {nme}; use {name}, {version}, {type} or {any} (at "
         "character 1)"},
    Case{"{name}-{name}", "x",
         "the pattern \"{name}-{name}\" has {name} twice; write {any} for the second (at character 8)"},
    Case{"{name}{version}", "x",
         "the pattern \"{name}{version}\" has two fields side by side, and nothing tells where one ends; "
         "put a "
         "character between them (at character 7)"},
    Case{"a**/{name}", "x",
         "the pattern \"a**/{name}\" uses ** other than as a folder; write **/ at the beginning or after "
         "a slash "
         "(at character 2)"},
    Case{"**/**/{name}", "x", "the pattern \"**/**/{name}\" has **/ twice (at character 4)"},
    Case{"*.bin", "x", "the pattern \"*.bin\" has neither {name} nor {version} (at character 6)"}};

TEST(Pattern, SaysWhatIsWrongWithIt) {
  for (const Case& c : kErrors)
    EXPECT_EQ(matched(c.pattern, c.key), c.wanted) << c.pattern << " on " << c.key;
}

TEST(Pattern, IsBoundedInPatternAndKey) {
  EXPECT_FALSE(Pattern::compile("{name}" + std::string(300, 'x')));
  const Pattern pattern = Pattern::compile("{name}-{version}").value();
  EXPECT_TRUE(pattern.match(std::string(kMaxKey - 6, 'a') + "-1.2.3"));
  EXPECT_FALSE(pattern.match(std::string(kMaxKey - 5, 'a') + "-1.2.3"));
}

// A backtracking matcher would need more than the age of the universe for these.
TEST(Pattern, HostileKeysTakeLinearTime) {
  std::string text = "{name}";
  for (int i = 0; i < 60; ++i) text += "-*";
  const Pattern pattern = Pattern::compile(text + "-{version}x").value();
  std::string key;
  while (key.size() + 4 < kMaxKey) key += "-1.1";
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(pattern.match(key));
}

TEST(MatchFirst, TriesPatternsInOrder) {
  const std::vector<Pattern> patterns = {Pattern::compile("{type}/{name}-{version}.bin").value(),
                                         Pattern::compile("{name}-{version}.bin").value()};
  EXPECT_EQ(match_first(patterns, "t/a-1.0.0.bin")->type, "t");
  EXPECT_EQ(match_first(patterns, "a-1.0.0.bin")->type, std::nullopt);
  EXPECT_FALSE(match_first(patterns, "a.bin"));
  EXPECT_FALSE(match_first({}, "a-1.0.0.bin"));
}

}  // namespace
}  // namespace otagate::firmware
