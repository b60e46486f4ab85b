#include "deployment_view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "commands.hpp"

namespace otagate::cli {
namespace {

namespace json = boost::json;

json::value deployment() {
  return json::parse(R"({"id":7,"name":"spring","state":"active","why":"","over":false,"wave":1,"limit":20,
    "waves":[{"amount":"1","devices":1},{"amount":"10%","devices":20},{"amount":"100%","devices":200}],
    "counts":{"members":205,"admitted":12,"waiting":188,"running":1,"succeeded":10,"failed":1,"current":5},
    "problems":["no maintenance window is open"],
    "spec":{"parts":[{"name":"app","version":"1.1.0"},{"name":"radio","version":"2"}],
            "target":{"type":"sensor","tags":["lab","a"],"devices":["x"],"everybody":false}}})");
}

TEST(DeploymentView, SaysWhatToWhomAndHowFar) {
  EXPECT_EQ(release_text(deployment()), "app 1.1.0 and radio 2");
  EXPECT_EQ(target_text(deployment()), "type sensor with tags lab and a and x");
  EXPECT_EQ(wave_text(deployment()), "wave 2 of 3");
  EXPECT_EQ(counts_text(deployment()), "10 updated, 1 running, 188 waiting, 1 failed, 5 had it already");
  EXPECT_EQ(summary_text(deployment()),
            "active, wave 2 of 3: 10 updated, 1 running, 188 waiting, 1 failed, 5 had it already; "
            "no maintenance window is open");
}

TEST(DeploymentView, DrawsABarForEachWave) {
  const json::value attempts = json::parse(R"([
    {"device":"x","state":"downloading","offset":50,"size":100,"bytes_per_second":2048,"parts":1,"ended_ms":null},
    {"device":"old","state":"failed","offset":5,"size":100,"bytes_per_second":0,"parts":1,"ended_ms":5}])");
  const auto lines = progress_lines(deployment(), attempts.as_array(), 100);
  const auto line_with = [&](std::string_view text) -> std::string {
    const auto found = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
    return found == lines.end() ? "" : *found;
  };
  EXPECT_NE(line_with("wave 1").find("1 of 1"), std::string::npos) << line_with("wave 1");
  EXPECT_NE(line_with("> wave 2").find("10 of 19"), std::string::npos)
      << "of the 11 done one was the first wave's";
  EXPECT_NE(line_with("wave 3").find("0 of 180"), std::string::npos) << line_with("wave 3");
  EXPECT_NE(line_with("x  downloading").find("50%, 2.0 KiB/s"), std::string::npos) << line_with("x  down");
  EXPECT_EQ(line_with("old"), "") << "an attempt that ended";
  EXPECT_NE(line_with("! no maintenance window"), "");
}

TEST(DeploymentView, NoLineIsWiderThanTheTerminalAndFewAreDrawn) {
  json::value many = deployment();
  json::array waves;
  for (int i = 0; i < 32; ++i) waves.push_back(json::object{{"amount", "100%"}, {"devices", 100 + i}});
  many.as_object()["waves"] = waves;
  many.as_object()["name"] = std::string(200, 'x') + "\x1b[2J\n";
  for (const int wave : {0, 7, 8, 31}) {
    many.as_object()["wave"] = wave;
    const auto lines = progress_lines(many, {}, 40);
    EXPECT_LT(lines.size(), 20u);
    bool present = false;
    for (const std::string& line : lines) {
      EXPECT_LE(line.size(), 40u);
      EXPECT_EQ(line.find('\x1b'), std::string::npos) << "names are not the terminal's";
      present = present || line.find("> wave " + std::to_string(wave + 1)) == 0;
    }
    EXPECT_TRUE(present) << wave;
  }
}

TEST(OutcomeOf, IsTheExitCodeOnceThereIsNothingToWaitFor) {
  json::value one = deployment();
  json::object& object = one.as_object();
  EXPECT_EQ(outcome_of(one), std::nullopt);
  object["state"] = "needs_approval";
  EXPECT_EQ(outcome_of(one), std::nullopt);
  object["state"] = "completed";
  EXPECT_EQ(outcome_of(one), kOk);
  object["state"] = "aborted";
  EXPECT_EQ(outcome_of(one), kAborted);
  object["state"] = "paused";
  EXPECT_EQ(outcome_of(one), kPaused);
  // One that stands for good, with nobody left to do.
  object["state"] = "active";
  object["counts"] =
      json::parse(R"({"members":3,"waiting":0,"running":0,"succeeded":2,"failed":1,"current":0})");
  EXPECT_EQ(outcome_of(one), kOk);
  object["counts"] = json::parse(R"({"members":0,"waiting":0,"running":0})");
  EXPECT_EQ(outcome_of(one), std::nullopt) << "nobody is there yet";
}

}  // namespace
}  // namespace otagate::cli
