// The dialogue about an attempt that was stopped.
#include "ddi_support.hpp"

namespace otagate::plugins::devices {
namespace {

TEST_F(DdiTest, AStoppedAttemptIsCancelledBeforeTheNextOneStarts) {
  offer(7);
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_EQ(get("cancelAction/7").status, 404);
  offer(8);
  const std::string poll = get("").body;
  EXPECT_NE(poll.find("/cancelAction/7\""), std::string::npos) << poll;
  EXPECT_EQ(poll.find("deploymentBase"), std::string::npos) << poll;
  EXPECT_EQ(get("cancelAction/7").body, R"({"id":"7","cancelAction":{"stopId":"7"}})");
  EXPECT_EQ(get("cancelAction/8").status, 404);
  EXPECT_EQ(post("cancelAction/8/feedback", kSuccess).status, 404);
  EXPECT_EQ(post("cancelAction/7/feedback", saying("proceeding")).status, 200);
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_EQ(post("cancelAction/7/feedback", kSuccess).status, 200);
  EXPECT_TRUE(gateway_.reported.empty()) << "the gateway knows that it is over";
  EXPECT_NE(get("").body.find("/deploymentBase/8?"), std::string::npos);
}

TEST_F(DdiTest, ARefusedCancelEndsTheDialogueToo) {
  for (const char* execution : {"rejected", "canceled"}) {
    offer(7);
    get("");
    withdraw();
    EXPECT_TRUE(linked("cancelAction"));
    EXPECT_EQ(post("cancelAction/7/feedback", saying(execution)).status, 200);
    EXPECT_FALSE(linked("cancelAction"));
  }
  offer(9);
  get("");
  withdraw();
  EXPECT_TRUE(linked("cancelAction"));
  EXPECT_EQ(post("deploymentBase/9/feedback", saying("canceled")).status, 200);
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, AClientThatKnowsNoCancelGetsTheNextUpdateAllTheSame) {
  offer(7);
  get("");
  offer(8);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(linked("cancelAction"));
  EXPECT_TRUE(linked("deploymentBase"));
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, WhatADeviceClosedIsNotCancelled) {
  offer(7);
  get("");
  post("deploymentBase/7/feedback", kSuccess);
  withdraw();
  EXPECT_FALSE(linked("cancelAction"));
  offer(8);
  get("");
  withdraw();
  // It came back with the new version, and said so.
  EXPECT_EQ(put("installedBase", R"({"name":"app","version":"2.0"})").status, 200);
  EXPECT_FALSE(linked("cancelAction"));
}

TEST_F(DdiTest, OneDevicesCancelIsNotAnothers) {
  offer(7);
  get("");
  withdraw();
  device_ = "dev2";
  EXPECT_FALSE(linked("cancelAction"));
  EXPECT_EQ(get("cancelAction/7").status, 404);
}

}  // namespace
}  // namespace otagate::plugins::devices
