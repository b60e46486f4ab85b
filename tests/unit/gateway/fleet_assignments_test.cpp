// What stores assign: it becomes deployments, beats others, and what becomes of it is in the outbox.
#include <gmock/gmock.h>

#include "core/clock.hpp"
#include "otagate/storage.h"
#include "unit/gateway/fleet_support.hpp"

namespace otagate::gateway {
namespace {

using rollout::AttemptState;
using rollout::FeedbackKind;
using rollout::RolloutState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FleetAssignments : public FleetTest {
 protected:
  void SetUp() override {
    FleetTest::SetUp();
    fleet_->set_assigner("hb", {});
    settled();
  }
  void again() {
    restart();
    fleet_->set_assigner("hb", {});
    settled();
  }

  static plugin::Assignment wish(std::string id, std::string device, std::string version) {
    plugin::Assignment said;
    said.external_id = std::move(id);
    said.device = std::move(device);
    plugin::AssignmentPart part;
    part.component = "application";
    part.name = "app";
    part.object.key = "app-" + version;
    part.object.change_token = "1";
    part.object.size = 1000;
    part.object.sha256 = state::digest_of(part.object.key);
    part.version = std::move(version);
    said.parts.push_back(std::move(part));
    return said;
  }
  void assign(plugin::Assignment said) {
    EXPECT_TRUE(fleet_->assigned("hb", std::move(said)));
    settled();
  }
  void cancel(const std::string& id) {
    EXPECT_TRUE(fleet_->unassigned("hb", id));
    settled();
  }
  // What the outbox holds for that id, in order: "progress 0/1000", "success".
  std::vector<std::string> said(const std::string& id) {
    std::vector<std::string> all;
    read([&](state::Reader& db) -> Result<void> {
      auto rows = state::page_outbox(db, "store:hb", 0, 1000);
      if (!rows) return fail(rows.error());
      for (const state::OutboxRow& row : *rows) {
        if (row.subject == id) all.emplace_back(rollout::to_string(static_cast<FeedbackKind>(row.kind)));
      }
      return {};
    });
    return all;
  }
  void heard() {
    write([&](state::Writer& db) -> Result<void> {
      auto rows = state::page_outbox(db, "store:hb", 0, 1000);
      if (!rows) return fail(rows.error());
      for (const state::OutboxRow& row : *rows) {
        if (auto done = state::delete_outbox(db, row.id); !done) return done;
      }
      return {};
    });
  }
  rollout::DeploymentView newest() {
    return state::must(wait<std::vector<rollout::DeploymentView>>(
                           [&](auto reply) { fleet_->deployments({}, reply); }))
        .front();
  }
  std::string offered(const std::string& id, const std::string& version = "1.0.0") {
    const plugin::Offer offer = check_in(id, version);
    return offer.attempt == 0 ? "" : offer.parts.front().version;
  }
};

TEST_F(FleetAssignments, BecomesADeploymentOfOneDeviceAndItsResultGoesBack) {
  check_in("d0", "1.0.0");
  check_in("d1", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  const auto made = newest();
  EXPECT_EQ(made.origin, "hb");
  EXPECT_EQ(made.external_id, "17");
  ASSERT_TRUE(made.assignment);
  EXPECT_EQ(made.assignment->mode, "forced");
  EXPECT_EQ(offered("d1"), "");
  EXPECT_EQ(update("d0", "1.0.0", "2.0.0"), AttemptState::confirmed);
  settled();
  EXPECT_EQ(newest().state, RolloutState::completed);
  EXPECT_EQ(newest().assignment->outcome, FeedbackKind::success);
  EXPECT_THAT(said("17"), ElementsAre("downloaded", "success"));  // progress is merged into what came after
  EXPECT_EQ(device("d0").assigned_by["application"], "hb");
  again();
  EXPECT_EQ(device("d0").assigned_by["application"], "hb");
  EXPECT_THAT(said("17"), ElementsAre("downloaded", "success"));
}

TEST_F(FleetAssignments, SaidAgainItChangesNothingNotEvenAfterItsEnd) {
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  const std::int64_t id = newest().id;
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(newest().id, id);
  update("d0", "1.0.0", "2.0.0");
  settled();
  again();
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(newest().id, id);
  EXPECT_EQ(attempts("d0").size(), 1U);
  // Upstream cannot have heard it if it says it again although nothing waits.
  heard();
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_THAT(said("17"), ElementsAre("success"));
  EXPECT_EQ(attempts("d0").size(), 1U);
}

TEST_F(FleetAssignments, TheSameIdWithOtherBytesReplacesIt) {
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(offered("d0"), "2.0.0");
  assign(wish("17", "d0", "3.0.0"));
  EXPECT_EQ(attempts("d0").front().state, AttemptState::superseded);
  EXPECT_EQ(offered("d0"), "3.0.0");
  again();
  EXPECT_EQ(offered("d0"), "3.0.0");
  EXPECT_EQ(attempts("d0").size(), 2U);
}

TEST_F(FleetAssignments, AnotherOneForTheDeviceTakesItsPlace) {
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(offered("d0"), "2.0.0");
  assign(wish("18", "d0", "3.0.0"));
  EXPECT_EQ(offered("d0"), "3.0.0");
  EXPECT_EQ(said("17").back(), "failure");
}

TEST_F(FleetAssignments, BeatsAllUnlessLocalWins) {
  add_firmware("app", "9.0.0");
  check_in("d0", "1.0.0");
  deploy(spec("app", "9.0.0", devices({"d0"})));
  EXPECT_EQ(offered("d0"), "9.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(attempts("d0").front().state, AttemptState::superseded);
  EXPECT_EQ(offered("d0"), "2.0.0");
  fleet_->set_assigner("hb", {.devices = {}, .types = {}, .tags = {}, .local_wins = true});
  settled();
  EXPECT_EQ(offered("d0"), "9.0.0");
  EXPECT_THAT(newest().assignment->outcome, testing::Eq(std::nullopt));  // it waits
  fleet_->set_assigner("hb", {});
  settled();
  EXPECT_EQ(offered("d0"), "2.0.0");
}

TEST_F(FleetAssignments, WhatWasAssignedLastHoldsAfterItsEnd) {
  add_firmware("app", "9.0.0");
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  update("d0", "1.0.0", "2.0.0");
  deploy(spec("app", "9.0.0", of_type("sensor")));
  EXPECT_EQ(offered("d0", "2.0.0"), "");
  const auto preview = state::must(wait<rollout::Preview>(
      [&](auto reply) { fleet_->preview(spec("app", "9.0.0", of_type("sensor")), reply); }));
  ASSERT_EQ(preview.lines.size(), 1U);
  EXPECT_EQ(preview.lines.front().what, "store hb decides its application");
  fleet_->remove_assigner("hb");
  settled();
  EXPECT_EQ(offered("d0", "2.0.0"), "9.0.0");
}

TEST_F(FleetAssignments, WhoRunsItAlreadyHasSucceeded) {
  check_in("d0", "2.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_THAT(said("17"), ElementsAre("success"));
  EXPECT_EQ(newest().state, RolloutState::completed);
}

TEST_F(FleetAssignments, DownloadOnlyEndsWithTheDownload) {
  check_in("d0", "1.0.0");
  auto only = wish("17", "d0", "2.0.0");
  only.mode = OTAGATE_ASSIGN_DOWNLOAD_ONLY;
  assign(only);
  const plugin::Offer offer = check_in("d0", "1.0.0");
  EXPECT_TRUE(offer.download_only);
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_DOWNLOADED, 1000), OTAGATE_CONTINUE);
  settled();
  EXPECT_THAT(said("17"), ElementsAre("downloaded"));
  EXPECT_EQ(newest().state, RolloutState::completed);
  EXPECT_EQ(device("d0").versions["application"], "1.0.0");
  EXPECT_EQ(offered("d0"), "");
}

TEST_F(FleetAssignments, CancelStopsADownloadAndIsRefusedWhileApplying) {
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(offered("d0"), "2.0.0");
  cancel("17");
  EXPECT_EQ(attempts("d0").front().state, AttemptState::cancelled);
  EXPECT_EQ(said("17").back(), "cancelled");
  EXPECT_EQ(host_.revoked.size(), 1U);
  EXPECT_EQ(offered("d0"), "");
  assign(wish("18", "d0", "2.0.0"));
  const plugin::Offer offer = check_in("d0", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  cancel("18");
  EXPECT_EQ(said("18").back(), "cancel_refused");
  check_in("d0", "2.0.0");
  settled();
  EXPECT_EQ(said("18").back(), "success");
  cancel("18");  // too late
  EXPECT_EQ(said("18").back(), "cancel_refused");
  cancel("never heard of");
  EXPECT_THAT(said("never heard of"), ElementsAre("cancelled"));
}

TEST_F(FleetAssignments, WaitsForAnOperatorAndForTheStoreToHearOfIt) {
  check_in("d0", "1.0.0");
  auto asks = wish("17", "d0", "2.0.0");
  asks.needs_confirm = true;
  assign(asks);
  const std::int64_t id = newest().id;
  EXPECT_EQ(newest().state, RolloutState::needs_approval);
  EXPECT_EQ(offered("d0"), "");
  state::must(act(id, Fleet::Action::approve));
  settled();
  EXPECT_THAT(said("17"), ElementsAre("confirmed"));
  EXPECT_EQ(offered("d0"), "");
  EXPECT_THAT(deployment(id).problems, ElementsAre(HasSubstr("yet to be told")));
  again();
  EXPECT_EQ(offered("d0"), "");
  fleet_->told_that_agreed("hb", "17");
  settled();
  EXPECT_EQ(offered("d0"), "2.0.0");

  asks.external_id = "18";
  asks.device = "d1";
  check_in("d1", "1.0.0");
  assign(asks);
  state::must(act(newest().id, Fleet::Action::abort));
  settled();
  EXPECT_THAT(said("18"), ElementsAre("denied"));
}

TEST_F(FleetAssignments, TheStoresWindowAndTimeHoldItBack) {
  check_in("d0", "1.0.0");
  auto later = wish("17", "d0", "2.0.0");
  later.window = OTAGATE_WINDOW_CLOSED;
  assign(later);
  EXPECT_EQ(offered("d0"), "");
  EXPECT_THAT(newest().problems, ElementsAre(HasSubstr("window of store hb is closed")));
  later.window = OTAGATE_WINDOW_OPEN;
  later.not_before_ms = wall_ms() + 3'600'000;
  assign(later);
  EXPECT_EQ(offered("d0"), "");
  later.not_before_ms = 0;
  assign(later);
  EXPECT_EQ(offered("d0"), "2.0.0");
}

TEST_F(FleetAssignments, FailsOnceItsAttemptsAreUsedUp) {
  fleet_->set_assigner("hb", {.devices = {}, .types = {}, .tags = {}, .local_wins = {}, .attempts = 1});
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  const plugin::Offer offer = check_in("d0", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_FAILED);
  settled();
  EXPECT_EQ(said("17").back(), "failure");
  EXPECT_EQ(newest().assignment->outcome, FeedbackKind::failure);
  EXPECT_THAT(device("d0").assigned_by, IsEmpty());
  EXPECT_EQ(act(newest().id, Fleet::Action::retry).error().code(), Code::precondition);
}

TEST_F(FleetAssignments, WhatCannotBeTakenIsRefusedUpstream) {
  check_in("d0", "1.0.0");
  auto twice = wish("17", "d0", "2.0.0");
  twice.parts.push_back(twice.parts.front());  // the same component
  assign(twice);
  EXPECT_THAT(said("17"), ElementsAre("failure"));
  fleet_->set_assigner(
      "hb", {.devices = {}, .types = {}, .tags = {}, .local_wins = {}, .attempts = 3, .downgrade = false});
  assign(wish("18", "d0", "0.5.0"));
  EXPECT_THAT(said("18"), ElementsAre("failure"));
  assign(wish("19", "stranger", "2.0.0"));
  EXPECT_THAT(said("19"), IsEmpty());
}

TEST_F(FleetAssignments, ADeviceThatIsRemovedFailsIt) {
  check_in("d0", "1.0.0");
  assign(wish("17", "d0", "2.0.0"));
  EXPECT_EQ(offered("d0"), "2.0.0");
  state::must(wait<void>([&](auto reply) { fleet_->remove_device("d0", reply); }));
  settled();
  EXPECT_EQ(said("17").back(), "failure");
  EXPECT_FALSE(host_.known.contains("d0"));
}

TEST_F(FleetAssignments, StoresHearOfDevicesAsTheyChange) {
  check_in("d0", "1.0.0");
  settled();
  EXPECT_TRUE(host_.known["d0"].approved);
  EXPECT_THAT(host_.known["d0"].attributes, testing::UnorderedElementsAre(testing::Pair("type", "sensor"),
                                                                          testing::Pair("version", "1.0.0")));
  check_in("d0", "1.0.1");
  settled();
  EXPECT_THAT(host_.known["d0"].attributes, testing::Contains(testing::Pair("version", "1.0.1")));
  edit({.id = "d0",
        .type = {},
        .approval = rollout::Approval::blocked,
        .tags = {},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  settled();
  EXPECT_FALSE(host_.known["d0"].approved);
}

TEST_F(FleetAssignments, SurvivesARestartInEveryState) {
  for (const char* id : {"d0", "d1", "d2"}) check_in(id, "1.0.0");
  for (const char* id : {"d0", "d1", "d2"}) assign(wish(std::string("a") + id, id, "2.0.0"));
  EXPECT_EQ(offered("d0"), "2.0.0");
  const plugin::Offer applying = check_in("d1", "1.0.0");
  report(applying.attempt, OTAGATE_ATTEMPT_APPLYING);
  again();
  EXPECT_EQ(check_in("d0", "1.0.0").attempt, attempts("d0").front().id);
  check_in("d1", "2.0.0");
  EXPECT_EQ(offered("d2"), "2.0.0");
  settled();
  EXPECT_EQ(said("ad1").back(), "success");
}

}  // namespace
}  // namespace otagate::gateway
