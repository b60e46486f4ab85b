#include <gtest/gtest.h>

#include "protocols.hpp"
#include "support.hpp"

namespace otagate::sim {
namespace {

const std::string kImage(1'000, 'x');
const std::string kBase = "http://gw:8080/DEFAULT/controller/v1/sim-0";

Habits quick() {
  Habits habits;
  habits.poll_interval = Milliseconds(1'000);
  return habits;
}

std::string base(const std::string& link = {}, const std::string& href = {}) {
  const auto links = link.empty() ? std::string("{}") : R"({")" + link + R"(":{"href":")" + href + R"("}})";
  return R"({"config":{"polling":{"sleep":"00:05:00"}},"_links":)" + links + "}";
}

std::string deployment(const std::string& sha256 = sha256_of(kImage)) {
  return R"({"id":"8","deployment":{"download":"forced","update":"forced","chunks":[{"part":"bApp","version":"1.1.0",
    "name":"app","artifacts":[{"filename":"app.bin","hashes":{"sha1":"da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "md5":"d41d8cd98f00b204e9800998ecf8427e","sha256":")" +
         sha256 + R"("},"size":1000,"_links":{"download-http":{"href":")" + kBase +
         R"(/softwaremodules/1/artifacts/app.bin"}}}]}]}})";
}

std::string execution(const Ask& ask) {
  const auto at = ask.body.find(R"("execution":")");
  if (at == std::string::npos) return {};
  const auto begin = at + 13;
  return ask.body.substr(begin, ask.body.find('"', begin) - begin);
}

TEST(DdiDevice, UpdatesItself) {
  const auto habits = quick();
  auto profile = profile_of(habits);
  profile.token = "secret";
  Talk talk(make_ddi_device(profile));
  EXPECT_EQ(talk.asks().target, "/DEFAULT/controller/v1/sim-0");
  EXPECT_EQ(talk.asks().authorization, "TargetToken secret");
  talk.hears(200, base("configData", kBase + "/configData"));
  EXPECT_EQ(talk.asks().method, Method::put);
  EXPECT_EQ(talk.asks().target, kBase + "/configData");
  EXPECT_EQ(talk.asks().body, R"({"mode":"merge","data":{"type":"sensor","version":"1.0.0"}})");
  talk.hears(200);
  talk.rests();
  talk.hears(200, base("deploymentBase", kBase + "/deploymentBase/8?c=-12"));
  EXPECT_EQ(talk.asks().target, kBase + "/deploymentBase/8?c=-12");
  talk.hears(200, deployment());
  EXPECT_EQ(talk.asks().target, kBase + "/deploymentBase/8/feedback");
  EXPECT_EQ(
      talk.asks().body,
      R"({"status":{"execution":"proceeding","result":{"finished":"none"},"details":["download begins"]}})");
  talk.hears(200);
  EXPECT_EQ(talk.asks().target, kBase + "/softwaremodules/1/artifacts/app.bin");
  talk.gets(kImage);
  EXPECT_EQ(execution(talk.asks()), "downloaded");
  talk.hears(200);
  EXPECT_EQ(execution(talk.asks()), "proceeding");
  talk.hears(200);
  EXPECT_EQ(talk.rests(), Milliseconds(3'000));
  EXPECT_EQ(execution(talk.asks()), "closed");
  EXPECT_NE(talk.asks().body.find(R"("finished":"success")"), std::string::npos);
  EXPECT_FALSE(talk.device().settled());
  talk.hears(200);
  EXPECT_TRUE(talk.device().settled());
  EXPECT_EQ(talk.device().version(), "1.1.0");
  EXPECT_TRUE(talk.record().violations.empty());
}

TEST(DdiDevice, ObeysThePollingTimeUnlessItHasItsOwn) {
  const Habits habits;
  Talk talk(make_ddi_device(profile_of(habits)));
  talk.hears(200, base());
  const auto time = talk.rests();
  EXPECT_GE(time, Milliseconds(270'000));
  EXPECT_LE(time, Milliseconds(330'000));
}

TEST(DdiDevice, TellsItsEnd) {
  for (const auto end : {End::fails, End::reverts}) {
    const auto habits = quick();
    Talk talk(make_ddi_device(profile_of(habits, end)));
    talk.hears(200, base("deploymentBase", kBase + "/deploymentBase/8"));
    talk.hears(200, deployment());
    talk.hears(200);
    talk.gets(kImage);
    talk.hears(200);
    if (end == End::reverts) {
      talk.hears(200);
      talk.rests();
    }
    EXPECT_EQ(execution(talk.asks()), "closed");
    EXPECT_NE(talk.asks().body.find(R"("finished":"failure")"), std::string::npos);
    talk.hears(200);
    EXPECT_TRUE(talk.device().settled());
    EXPECT_EQ(talk.device().version(), "1.0.0");
  }
}

TEST(DdiDevice, GivesWayToACancellation) {
  const auto habits = quick();
  Talk talk(make_ddi_device(profile_of(habits)));
  talk.hears(200, base("cancelAction", kBase + "/cancelAction/9"));
  talk.hears(200, R"({"id":"9","cancelAction":{"stopId":"8"}})");
  EXPECT_EQ(talk.asks().target, kBase + "/cancelAction/9/feedback");
  EXPECT_EQ(execution(talk.asks()), "closed");
  talk.hears(200);
  talk.rests();
  EXPECT_EQ(talk.asks().target, "/DEFAULT/controller/v1/sim-0");
}

TEST(DdiDevice, ConfirmsWhatNeedsIt) {
  const auto habits = quick();
  Talk talk(make_ddi_device(profile_of(habits)));
  talk.hears(200, base("confirmationBase", kBase + "/confirmationBase/8?c=1"));
  EXPECT_EQ(talk.asks().target, kBase + "/confirmationBase/8/feedback");
  EXPECT_EQ(talk.asks().body, R"({"confirmation":"confirmed"})");
}

TEST(DdiDevice, StopsWhenTheActionIsGone) {
  const auto habits = quick();
  Talk talk(make_ddi_device(profile_of(habits)));
  talk.hears(200, base("deploymentBase", kBase + "/deploymentBase/8"));
  talk.hears(200, deployment());
  talk.hears(410);
  talk.rests();
  EXPECT_FALSE(talk.device().busy());
  EXPECT_EQ(talk.asks().target, "/DEFAULT/controller/v1/sim-0");
}

TEST(DdiDevice, NoticesWhatTheGatewayMustNotDo) {
  const auto habits = quick();
  for (const auto* bad : {"{}", "[", R"({"deployment":{"chunks":[]}})",
                          R"({"deployment":{"chunks":[{"version":"1","artifacts":[{}]}]}})"}) {
    Talk talk(make_ddi_device(profile_of(habits)));
    talk.hears(200, base("deploymentBase", kBase + "/deploymentBase/8"));
    talk.hears(200, bad);
    EXPECT_EQ(talk.record().violations.size(), 1U) << bad;
    EXPECT_TRUE(talk.resting());
  }
}

}  // namespace
}  // namespace otagate::sim
