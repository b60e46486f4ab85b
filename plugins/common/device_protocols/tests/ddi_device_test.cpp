// What a device says of itself, and is shown of itself.
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DdiTest, ConfigDataBecomesAttributesAndIsAskedForOnce) {
  EXPECT_TRUE(linked("configData"));
  EXPECT_EQ(put("configData", R"({"mode":"merge","data":{"VIN":"JH4","hw":"2"}})").status, 200);
  EXPECT_EQ(gateway_.came.back().attributes, (sdk::Pairs{{"VIN", "JH4"}, {"hw", "2"}}));
  EXPECT_TRUE(answer_->body.empty());
  EXPECT_FALSE(linked("configData"));
  put("configData", R"({"mode":"remove","data":{"VIN":"JH4"}})");
  EXPECT_EQ(gateway_.came.back().attributes, (sdk::Pairs{{"VIN", ""}}));
  // After an update it may have others.
  offer(7);
  get("");
  post("deploymentBase/7/feedback", kSuccess);
  withdraw();
  EXPECT_TRUE(linked("configData"));
}

// suricatta sends its attributes instead of installing, each time it is asked for both.
TEST_F(DdiTest, ConfigDataIsNotAskedForBesideAnUpdate) {
  offer(7);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_FALSE(linked("configData"));
  withdraw();
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_FALSE(linked("configData"));
  post("cancelAction/7/feedback", kSuccess);
  EXPECT_TRUE(linked("configData"));
}

TEST_F(DdiTest, InstalledBaseIsTheVersionOfTheApplication) {
  EXPECT_EQ(put("installedBase", R"({"name":"app","version":"1.2.3"})").status, 200);
  EXPECT_EQ(gateway_.came.back().versions, (sdk::Pairs{{"application", "1.2.3"}}));
  EXPECT_EQ(put("installedBase", R"({"name":"app"})").status, 400);
  EXPECT_EQ(get("installedBase/7").status, 404);
  EXPECT_EQ(get("installedBase").status, 405);
}

// As hawkBit shows it: the deployment that was closed with success last.
TEST_F(DdiTest, WhatIsInstalledIsShownAgain) {
  offer(7);
  get("");
  const std::string document = get("deploymentBase/7").body;
  EXPECT_EQ(get("installedBase/7").status, 404) << "it is not installed yet";
  EXPECT_FALSE(linked("installedBase"));
  post("deploymentBase/7/feedback", kSuccess);
  withdraw();
  EXPECT_EQ(get("installedBase/7").body, document);
  EXPECT_NE(get("").body.find(
                R"("installedBase":{"href":"http://gw:8080/DEFAULT/controller/v1/dev1/installedBase/7")"),
            std::string::npos)
      << answer_->body;
  EXPECT_EQ(get("installedBase/8").status, 404);
  // What fails changes nothing of it, the next success does.
  for (const char* end : {kFailure, kSuccess}) {
    const std::uint64_t next = end == kSuccess ? 9 : 8;
    offer(next);
    get("");
    get("deploymentBase/" + std::to_string(next));
    EXPECT_EQ(get("installedBase/7").status, 200);
    post("deploymentBase/" + std::to_string(next) + "/feedback", end);
    withdraw();
    EXPECT_EQ(get("installedBase/" + std::to_string(next)).status, end == kSuccess ? 200 : 404);
  }
  EXPECT_EQ(get("installedBase/7").status, 404);
  device_ = "dev2";
  EXPECT_EQ(get("installedBase/9").status, 404) << "it is another device's";
  gateway_.offer.status = OTAGATE_DENIED;
  device_ = "dev1";
  EXPECT_EQ(get("installedBase/9").status, 403);
}

TEST_F(DdiTest, AVersionThatIsSaidToRunIsInstalled) {
  offer(7);
  get("");
  get("deploymentBase/7");
  withdraw();
  EXPECT_EQ(put("installedBase", R"({"name":"app","version":"2.0"})").status, 200);
  EXPECT_EQ(get("installedBase/7").status, 200);
}

}  // namespace
}  // namespace otagate::plugins::devices
