#include "hawkbit/release.hpp"

#include <gtest/gtest.h>

namespace otagate::hawkbit {
namespace {

using common::ddi::Handling;

const std::string kSha256(64, 'a');
const std::string kSha1(40, 'b');

Artifact artifact(const std::string& name, char digit = 'a') {
  return {name, std::string(64, digit), kSha1, 100, "https://hb.example/" + name};
}

Deployment deployment(std::vector<Chunk> chunks) {
  Deployment out;
  out.action = "17";
  out.chunks = std::move(chunks);
  return out;
}

common::Outcome<sdk::Assignment> made(const Deployment& from, const Components& components = {},
                                      bool needs_confirm = false) {
  return make_assignment(from, "pump-7", "DEFAULT", components, needs_confirm);
}

TEST(HawkbitRelease, EachChunkIsAPart) {
  const auto wish = made(deployment({{"os", "app", "1.2.3", {artifact("a.bin")}, {{"slot", "A"}}},
                                     {"modem", "lte", "2", {artifact("m.bin", 'c')}, {}}}));
  ASSERT_TRUE(wish) << wish.error().message;
  EXPECT_EQ(wish->external_id, "17");
  EXPECT_EQ(wish->device, "pump-7");
  EXPECT_EQ(wish->mode, OTAGATE_ASSIGN_FORCED);
  EXPECT_EQ(wish->window, OTAGATE_WINDOW_NONE);
  ASSERT_EQ(wish->parts.size(), 2u);
  const sdk::AssignmentPart& app = wish->parts[0];
  EXPECT_EQ(app.component, "application");
  EXPECT_EQ(app.name, "app");
  EXPECT_EQ(app.version, "1.2.3");
  EXPECT_EQ(app.params, (sdk::Pairs{{"filename", "a.bin"}, {"part", "os"}, {"metadata.slot", "A"}}));
  EXPECT_EQ(app.object.key, "DEFAULT/os/app/1.2.3/" + kSha256);
  EXPECT_EQ(app.object.change_token, kSha1 + "/100");
  EXPECT_EQ(app.object.sha256, kSha256);
  EXPECT_EQ(app.object.size, 100u);
  EXPECT_EQ(app.object.locators, std::vector<std::string>{"https://hb.example/a.bin"});
  EXPECT_EQ(wish->parts[1].component, "modem");
}

TEST(HawkbitRelease, KeysAreTheSameForEveryTargetAndKeepOddNamesApart) {
  const Chunk slash{"os", "a/b", "1", {}, {}};
  const Chunk nested{"os", "a", "b/1", {}, {}};
  EXPECT_EQ(object_key("T", slash, artifact("x")), "T/os/a%2Fb/1/" + kSha256);
  EXPECT_NE(object_key("T", slash, artifact("x")), object_key("T", nested, artifact("x")));
  Artifact old = artifact("x");
  old.sha256.clear();
  EXPECT_EQ(object_key("T", slash, old), "T/os/a%2Fb/1/sha1:" + kSha1);
  const std::string longest(512, '%');
  EXPECT_LE(object_key(longest, {longest, longest, longest, {}, {}}, artifact("x")).size(), 1024u);
}

TEST(HawkbitRelease, SeveralArtifactsOfAChunkAreComponentsOfTheirOwn) {
  const Deployment two = deployment(
      {{"os", "app", "1", {artifact("fw.bin"), artifact("radio.bin", 'c'), artifact("notes.txt", 'd')}, {}}});
  const auto plain = made(two);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->parts[0].component, "application/fw.bin");
  EXPECT_EQ(plain->parts[1].component, "application/radio.bin");
  EXPECT_EQ(plain->parts[0].name, "app:fw.bin");
  const auto ruled =
      made(two, {{"os/fw.bin", "application"}, {"os/radio.bin", "modem"}, {"os/notes.txt", ""}});
  ASSERT_TRUE(ruled) << ruled.error().message;
  ASSERT_EQ(ruled->parts.size(), 2u);
  EXPECT_EQ(ruled->parts[0].component, "application");
  EXPECT_EQ(ruled->parts[1].component, "modem");
}

TEST(HawkbitRelease, PartsAreMappedToComponents) {
  const auto wish =
      made(deployment({{"bApp", "app", "1", {artifact("a")}, {}}, {"jvm", "x", "1", {artifact("j")}, {}}}),
           {{"bApp", "application"}, {"jvm", ""}});
  ASSERT_TRUE(wish);
  ASSERT_EQ(wish->parts.size(), 1u);
  EXPECT_EQ(wish->parts[0].component, "application");
}

TEST(HawkbitRelease, ModesAndWindows) {
  struct Case {
    Handling download, update;
    Window window;
    std::uint32_t mode, said;
  };
  for (const Case& one : {
           Case{Handling::forced, Handling::forced, Window::none, OTAGATE_ASSIGN_FORCED, OTAGATE_WINDOW_NONE},
           Case{Handling::attempt, Handling::attempt, Window::none, OTAGATE_ASSIGN_SOFT, OTAGATE_WINDOW_NONE},
           Case{Handling::forced, Handling::skip, Window::none, OTAGATE_ASSIGN_DOWNLOAD_ONLY,
                OTAGATE_WINDOW_NONE},
           Case{Handling::forced, Handling::skip, Window::unavailable, OTAGATE_ASSIGN_FORCED,
                OTAGATE_WINDOW_CLOSED},
           Case{Handling::attempt, Handling::skip, Window::unavailable, OTAGATE_ASSIGN_SOFT,
                OTAGATE_WINDOW_CLOSED},
           Case{Handling::attempt, Handling::attempt, Window::available, OTAGATE_ASSIGN_SOFT,
                OTAGATE_WINDOW_OPEN},
       }) {
    Deployment from = deployment({{"os", "app", "1", {artifact("a")}, {}}});
    from.download = one.download;
    from.update = one.update;
    from.window = one.window;
    const auto wish = made(from);
    ASSERT_TRUE(wish);
    EXPECT_EQ(wish->mode, one.mode);
    EXPECT_EQ(wish->window, one.said);
  }
  EXPECT_TRUE(made(deployment({{"os", "a", "1", {artifact("a")}, {}}}), {}, true)->needs_confirm);
}

TEST(HawkbitRelease, SaysWhatCannotBeCarriedOut) {
  EXPECT_NE(made(deployment({})).error().message.find("no artifact"), std::string::npos);
  Artifact unreachable = artifact("a");
  unreachable.url.clear();
  EXPECT_NE(made(deployment({{"os", "a", "1", {unreachable}, {}}})).error().message.find("download-http"),
            std::string::npos);
  Artifact bare = artifact("a");
  bare.sha256.clear();
  bare.sha1.clear();
  EXPECT_NE(made(deployment({{"os", "a", "1", {bare}, {}}})).error().message.find("no hash"),
            std::string::npos);
  const auto twice =
      made(deployment({{"bApp", "a", "1", {artifact("a")}, {}}, {"bApp", "b", "1", {artifact("b")}, {}}}));
  EXPECT_NE(twice.error().message.find("'components'"), std::string::npos);
  std::vector<Artifact> many;
  for (int i = 0; i < 17; ++i) many.push_back(artifact("f" + std::to_string(i)));
  EXPECT_NE(made(deployment({{"os", "a", "1", many, {}}})).error().message.find("16"), std::string::npos);
}

TEST(HawkbitRelease, NamesAreWhatTheGatewayTakes) {
  const auto wish = made(deployment({{"os", " a/b\\c ", "1/2", {artifact("a")}, {}}}));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->parts[0].name, "_a_b_c_");
  EXPECT_EQ(wish->parts[0].version, "1_2");
}

}  // namespace
}  // namespace otagate::hawkbit
