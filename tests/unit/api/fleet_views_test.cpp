#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/views.hpp"

namespace otagate::api {
namespace {

namespace json = boost::json;

rollout::DeploymentView deployment() {
  rollout::DeploymentView view;
  view.id = 7;
  view.spec.parts.push_back({"application", "app", "1.1.0", "", ""});
  view.spec.target.type = "sensor";
  view.spec.policy.waves = {rollout::Amount{1, false}, rollout::Amount{10, true}, rollout::Amount::all()};
  view.counts.members = 205;
  view.counts.current = 5;
  view.limit = 20;
  view.wave = 1;
  return view;
}

TEST(DeploymentJson, WavesSayHowManyDevicesTheyReach) {
  const json::object body = to_json(deployment());
  const json::array& waves = body.at("waves").as_array();
  ASSERT_EQ(waves.size(), 3u);
  EXPECT_EQ(waves[0].at("amount"), "1");
  EXPECT_EQ(waves[0].at("devices"), 1u);
  EXPECT_EQ(waves[1].at("devices"), 20u) << "a share is of those that are not up to date by themselves";
  EXPECT_EQ(waves[2].at("devices"), 200u);
  EXPECT_EQ(body.at("state"), "active");
  EXPECT_EQ(body.at("over"), false);
  EXPECT_TRUE(body.at("ended_ms").is_null());
  EXPECT_TRUE(body.at("origin").is_null());
}

TEST(DeploymentJson, CarriesTheSpecificationAsItIsWritten) {
  const json::object body = to_json(deployment());
  const json::value& spec = body.at("spec");
  EXPECT_EQ(spec.at("parts").at(0).at("name"), "app");
  EXPECT_EQ(spec.at("target").at("type"), "sensor");
  EXPECT_EQ(spec.at("policy").at("waves").at(1), "10%");
}

TEST(DeviceJson, NeverSeenIsNullAndAnOpenAttemptIsShown) {
  rollout::DeviceView device;
  device.id = "a";
  device.attributes = {{"site", "hall"}};
  json::object body = to_json(device);
  EXPECT_TRUE(body.at("last_seen_ms").is_null());
  EXPECT_TRUE(body.at("transport").is_null());
  EXPECT_TRUE(body.at("attempt").is_null());
  EXPECT_EQ(body.at("attributes").at("site"), "hall");
  device.attempt.emplace();
  device.attempt->state = rollout::AttemptState::downloading;
  device.attempt->offset = 5;
  body = to_json(device);
  EXPECT_EQ(body.at("attempt").at("state"), "downloading");
  EXPECT_EQ(body.at("attempt").at("offset"), 5u);
  EXPECT_TRUE(body.at("attempt").at("size").is_null());
}

}  // namespace
}  // namespace otagate::api
