#include "deploy_spec.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace otagate::cli {
namespace {

DeployArguments to_everybody(std::string firmware) {
  DeployArguments arguments;
  arguments.firmware = std::move(firmware);
  arguments.to = {"everybody"};
  return arguments;
}

TEST(DeploySpec, ReadsNameVersionAndType) {
  const std::pair<const char*, const char*> cases[] = {
      {"app", R"({"name":"app","version":"latest"})"},
      {"app@1.1.0", R"({"name":"app","version":"1.1.0"})"},
      {"app/1.1.0+5", R"({"name":"app","version":"1.1.0+5"})"},
      {"app/1.1.0/sensor v2", R"({"name":"app","version":"1.1.0","type":"sensor v2"})"},
  };
  for (const auto& [text, part] : cases) {
    const auto spec = deploy_spec(to_everybody(text));
    ASSERT_TRUE(spec) << text << ": " << spec.error().message();
    EXPECT_EQ(spec->at("parts").at(0), boost::json::parse(part)) << text;
    EXPECT_FALSE(spec->contains("policy")) << "the daemon knows its defaults";
  }
  for (const char* wrong : {"/1.0", "app/", "app@", "app/1/", "app/1/a/b"})
    EXPECT_FALSE(deploy_spec(to_everybody(wrong))) << wrong;
}

TEST(DeploySpec, SaysWhoIsMeant) {
  DeployArguments arguments = to_everybody("app");
  arguments.to = {"type=sensor", "tag=lab", "tag=a=b", "device=x/1", "device=y"};
  const auto spec = deploy_spec(arguments);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->at("target"),
            boost::json::parse(R"({"type":"sensor","tags":["lab","a=b"],"devices":["x/1","y"]})"));
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {}, {"all"}, {"type="}, {"colour=red"}, {"type=a", "type=b"}, {"=x"}}) {
    arguments.to = wrong;
    EXPECT_FALSE(deploy_spec(arguments)) << (wrong.empty() ? "" : wrong[0]);
  }
}

TEST(DeploySpec, SeveralPartsStayInOrder) {
  DeployArguments arguments = to_everybody("app@1.1.0");
  arguments.store = "vendor";
  arguments.parts = {"modem=radio@2.0", "bootloader=boot/3/t"};
  const auto spec = deploy_spec(arguments);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->at("parts"), boost::json::parse(R"([
    {"name":"app","version":"1.1.0","store":"vendor"},
    {"component":"modem","name":"radio","version":"2.0","store":"vendor"},
    {"component":"bootloader","name":"boot","version":"3","type":"t","store":"vendor"}])"));
  arguments.parts = {"application=other@1"};
  EXPECT_FALSE(deploy_spec(arguments)) << "the component is there already";
  arguments.parts = {"radio@2.0"};
  EXPECT_FALSE(deploy_spec(arguments)) << "no component";
  arguments.firmware.clear();
  arguments.parts.clear();
  EXPECT_FALSE(deploy_spec(arguments)) << "nothing at all";
}

TEST(DeploySpec, PassesThePolicyOn) {
  DeployArguments arguments = to_everybody("app");
  arguments.name = "spring";
  arguments.waves = {"1", "10%", "100%"};
  arguments.windows = {"Sat,Sun 22:00-06:00", "02:00-04:00"};
  arguments.window_without_clock = true;
  arguments.advance_at = "80%";
  arguments.pause_at = "5%";
  arguments.abort_at = "3";
  arguments.deadline = "7d";
  arguments.concurrency = 4;
  arguments.attempts = 2;
  arguments.once = true;
  const auto spec = deploy_spec(arguments);
  ASSERT_TRUE(spec) << spec.error().message();
  EXPECT_EQ(spec->at("name"), "spring");
  EXPECT_EQ(spec->at("policy"), boost::json::parse(R"({"waves":["1","10%","100%"],
    "windows":["Sat,Sun 22:00-06:00","02:00-04:00"],"window_without_clock":"open","advance_at":"80%",
    "pause_at":"5%","abort_at":"3","deadline":"7d","concurrency":4,"attempts":2,"once":true})"));
}

}  // namespace
}  // namespace otagate::cli
