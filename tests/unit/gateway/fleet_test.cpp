// Devices as the fleet knows them, and what one attempt goes through.
#include "gateway/fleet.hpp"

#include <gmock/gmock.h>

#include "unit/gateway/fleet_support.hpp"

namespace otagate::gateway {
namespace {

using rollout::AttemptState;
using rollout::MemberState;
using testing::ElementsAre;
using testing::HasSubstr;

class Fleets : public FleetTest {};

TEST_F(Fleets, ADeviceIsKnownByItsFirstCheckInAndStaysKnown) {
  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.attributes.emplace_back("site", "roof");
  EXPECT_EQ(state::must(try_check_in(in)).attempt, 0U);
  restart();
  const rollout::DeviceView known = device("probe-1");
  EXPECT_EQ(known.type, "sensor");
  EXPECT_EQ(known.versions.at("application"), "1.0.0");
  EXPECT_EQ(known.attributes.at("site"), "roof");
  EXPECT_EQ(known.transport, "http");
  EXPECT_GT(known.first_seen_ms, 0);
}

TEST_F(Fleets, ACheckInThatBringsNothingNewIsNotWritten) {
  check_in("probe-1", "1.0.0");
  const std::uint64_t written = fleet_->counts().written;
  for (int i = 0; i < 50; ++i) check_in("probe-1", "1.0.0");
  EXPECT_EQ(fleet_->counts().written, written);
  check_in("probe-1", "1.0.1");
  EXPECT_EQ(fleet_->counts().written, written + 1);
}

TEST_F(Fleets, AnUpdateGoesFromOfferToConfirmed) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));

  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  ASSERT_NE(offer.attempt, 0U);
  ASSERT_EQ(offer.parts.size(), 1U);
  EXPECT_EQ(offer.parts[0].version, "1.1.0");
  EXPECT_EQ(offer.parts[0].sha256, state::digest_of("app-1.1.0-sensor").hex());
  EXPECT_EQ(offer.parts[0].size, 1000U);
  const auto part = fleet_->open_part(offer.parts[0].firmware);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->digest.hex(), offer.parts[0].sha256);
  EXPECT_EQ(part->device, "probe-1");

  EXPECT_EQ(check_in("probe-1", "1.0.0").attempt, offer.attempt);  // the same again
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_DOWNLOADING, 400), OTAGATE_CONTINUE);
  EXPECT_EQ(device("probe-1").attempt->offset, 400U);
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_DOWNLOADED, 1000), OTAGATE_CONTINUE);
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_APPLYING), OTAGATE_CONTINUE);
  EXPECT_EQ(check_in("probe-1", "1.1.0").attempt, 0U);

  EXPECT_EQ(attempts("probe-1").front().state, AttemptState::confirmed);
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
  EXPECT_FALSE(fleet_->open_part(offer.parts[0].firmware));
}

TEST_F(Fleets, ADeviceThatComesBackWithTheOldVersionHasReverted) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  const plugin::Offer none = check_in("probe-1", "1.0.0");
  EXPECT_EQ(none.attempt, 0U);  // it backs off
  EXPECT_EQ(attempts("probe-1").front().state, AttemptState::reverted);
  EXPECT_EQ(deployment(id).counts.waiting, 1U);
}

// It says itself that it has not been started anew: it asks for the last answer once more.
TEST_F(Fleets, ACheckInInTheMiddleOfAnUpdateIsNoRevert) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.midway = true;
  EXPECT_EQ(state::must(try_check_in(in)).attempt, offer.attempt);
}

TEST_F(Fleets, AnAttemptOutlivesARestart) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_DOWNLOADED, 1000);
  restart();
  EXPECT_EQ(deployment(id).counts.running, 1U);
  EXPECT_EQ(check_in("probe-1", "1.0.0").attempt, offer.attempt);
  EXPECT_EQ(device("probe-1").attempt->state, AttemptState::downloaded);
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  restart();
  EXPECT_EQ(check_in("probe-1", "1.1.0").attempt, 0U);
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
  restart();
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
  EXPECT_EQ(check_in("probe-1", "1.1.0").attempt, 0U);
}

TEST_F(Fleets, TheSameEndReportedAgainIsNoError) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_FAILED), OTAGATE_STOP);
  EXPECT_EQ(report(offer.attempt, OTAGATE_ATTEMPT_FAILED), OTAGATE_STOP);
  EXPECT_EQ(try_report(offer.attempt, OTAGATE_ATTEMPT_CONFIRMED).error().code(), Code::precondition);
  EXPECT_EQ(try_report(4711, OTAGATE_ATTEMPT_FAILED).error().code(), Code::not_found);
}

TEST_F(Fleets, NobodySpeaksForAnotherDevice) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  EXPECT_EQ(try_check_in(who("probe-1", "1.0.0"), bound_to("probe-2")).error().code(), Code::denied);
  EXPECT_EQ(try_check_in(who("probe-1", "1.0.0"), bound_to("", "modem")).error().code(), Code::denied);
  EXPECT_EQ(try_check_in(who("probe-1", "1.0.0", "modem")).error().code(), Code::invalid);
  // Nor does its number, which can be guessed, give it away.
  EXPECT_EQ(try_report(offer.attempt, OTAGATE_ATTEMPT_FAILED, "probe-2").error().code(), Code::not_found);
  EXPECT_EQ(
      try_report(offer.attempt, OTAGATE_ATTEMPT_FAILED, "probe-1", 0, bound_to("probe-2")).error().code(),
      Code::not_found);
  EXPECT_TRUE(device("probe-1").attempt);

  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.acting_for = "gateway-1";
  EXPECT_EQ(try_check_in(in, bound_to("gateway-1")).error().code(), Code::denied);
  Principal gateway;
  gateway.device = "gateway-1";
  gateway.gateway = true;
  EXPECT_TRUE(try_check_in(in, std::make_shared<const Principal>(gateway)));
}

TEST_F(Fleets, NothingIsOfferedBeforeItIsVerified) {
  host_.held_back = true;
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer early = check_in("probe-1", "1.0.0");
  EXPECT_EQ(early.attempt, 0U);
  EXPECT_LT(early.next_after, config_.next_check_in);
  host_.release();
  EXPECT_NE(check_in("probe-1", "1.0.0").attempt, 0U);
}

TEST_F(Fleets, BytesAreKeptWhileADeploymentNeedsThem) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));
  check_in("probe-1", "1.0.0");
  const std::string owner = "deployment:" + std::to_string(id);
  EXPECT_THAT(host_.kept.at(owner), ElementsAre(state::digest_of("app-1.1.0-sensor")));
  state::must(act(id, Fleet::Action::abort));
  EXPECT_TRUE(host_.kept.at(owner).empty());
}

TEST_F(Fleets, ALongPollEndsWithTheOffer) {
  add_firmware("app", "1.1.0");
  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.timeout = std::chrono::seconds(30);
  std::promise<Result<plugin::Offer>> promise;
  fleet_->check_in("http", anybody(), in,
                   [&](Result<plugin::Offer> offer) { promise.set_value(std::move(offer)); });
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const auto offer = promise.get_future().get();
  ASSERT_TRUE(offer);
  EXPECT_NE(offer->attempt, 0U);
}

TEST_F(Fleets, ALongPollWithoutNewsEndsInTime) {
  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(state::must(try_check_in(in)).attempt, 0U);
}

// A device on trial keeps what it runs only once it is answered.
TEST_F(Fleets, TheCheckInThatConfirmsIsNotHeldBack) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  report(check_in("probe-1", "1.0.0").attempt, OTAGATE_ATTEMPT_APPLYING);
  plugin::CheckIn in = who("probe-1", "1.1.0");
  in.timeout = std::chrono::seconds(50);
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_EQ(state::must(try_check_in(in)).attempt, 0U);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(40));
}

TEST_F(Fleets, OlderOrIncomparableVersionsAreNotOffered) {
  add_firmware("app", "1.1.0");
  check_in("older", "1.0.0");
  check_in("newer", "2.0.0");
  check_in("strange", "build-of-tuesday");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  const auto preview =
      state::must(wait<rollout::Preview>([&](auto reply) { fleet_->preview(wanted, reply); }));
  ASSERT_EQ(preview.lines.size(), 3U);
  EXPECT_FALSE(preview.lines[0].matches);
  EXPECT_THAT(preview.lines[0].what, HasSubstr("older than 2.0.0"));
  EXPECT_TRUE(preview.lines[1].matches);
  EXPECT_EQ(preview.lines[1].what, "app 1.0.0 -> 1.1.0");
  EXPECT_THAT(preview.lines[2].what, HasSubstr("nobody can tell"));

  const std::int64_t first = deploy(wanted);
  EXPECT_EQ(check_in("newer", "2.0.0").attempt, 0U);
  EXPECT_EQ(check_in("strange", "build-of-tuesday").attempt, 0U);
  EXPECT_NE(check_in("older", "1.0.0").attempt, 0U);
  EXPECT_EQ(deployment(first).counts.members, 1U);

  wanted.policy.downgrade = true;
  deploy(wanted);
  EXPECT_NE(check_in("newer", "2.0.0").attempt, 0U);
  EXPECT_NE(check_in("strange", "build-of-tuesday").attempt, 0U);
}

TEST_F(Fleets, APatchIsForWhoRunsWhatItPatches) {
  add_firmware("app", "1.1.0", "sensor", "patch", "1.0.0");
  check_in("fits", "1.0.0");
  check_in("other", "0.9.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  EXPECT_EQ(check_in("other", "0.9.0").attempt, 0U);
  EXPECT_NE(check_in("fits", "1.0.0").attempt, 0U);
}

TEST_F(Fleets, SeveralPartsAreWorkedThroughInOrder) {
  add_firmware("modem", "7.1");
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  rollout::Spec wanted = spec("modem", "7.1", of_type("sensor"));
  wanted.parts[0].component = "modem";
  wanted.parts.push_back(
      {.component = "application", .name = "app", .version = "1.1.0", .type = "", .store = ""});
  deploy(wanted);
  const plugin::Offer both = check_in("probe-1", "1.0.0");
  ASSERT_EQ(both.parts.size(), 2U);
  EXPECT_EQ(both.parts[0].component, "modem");
  report(both.attempt, OTAGATE_ATTEMPT_APPLYING);
  plugin::CheckIn in = who("probe-1", "1.0.0");
  in.versions.emplace_back("modem", "7.1");
  const plugin::Offer rest = state::must(try_check_in(in));
  EXPECT_EQ(rest.attempt, both.attempt);
  ASSERT_EQ(rest.parts.size(), 1U);
  EXPECT_EQ(rest.parts[0].component, "application");
  report(rest.attempt, OTAGATE_ATTEMPT_FAILED);
  const rollout::AttemptView ended = attempts("probe-1").front();
  EXPECT_EQ(ended.state, AttemptState::failed);
  EXPECT_EQ(ended.component, "application");  // which one failed
}

TEST_F(Fleets, MadeUpIdsDoNotFillTheTable) {
  config_.max_per_source = 5;
  config_.max = 8;
  restart();
  for (int i = 0; i < 5; ++i) check_in("a" + std::to_string(i), "1");
  EXPECT_EQ(try_check_in(who("a5", "1")).error().code(), Code::busy);
  plugin::CheckIn elsewhere = who("b0", "1");
  elsewhere.address = "[fe80::1]:99";
  for (int i = 0; i < 3; ++i) {
    elsewhere.device = "b" + std::to_string(i);
    EXPECT_TRUE(try_check_in(elsewhere));
  }
  elsewhere.device = "b3";
  EXPECT_EQ(try_check_in(elsewhere).error().code(), Code::busy);
  EXPECT_EQ(check_in("a0", "2").attempt, 0U);  // who is known is served
  edit({.id = "by-hand",
        .type = "sensor",
        .approval = {},
        .tags = {},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  EXPECT_EQ(device("by-hand").type, "sensor");
  EXPECT_EQ(try_check_in(who("", "1")).error().code(), Code::invalid);
  EXPECT_EQ(try_check_in(who("a\nb", "1")).error().code(), Code::invalid);
}

TEST_F(Fleets, WithoutAutoRegistrationOnlyTheEnteredAreServed) {
  config_.auto_register = false;
  restart();
  EXPECT_EQ(try_check_in(who("probe-1", "1")).error().code(), Code::not_found);
  edit({.id = "probe-1",
        .type = {},
        .approval = {},
        .tags = {},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  EXPECT_TRUE(try_check_in(who("probe-1", "1")));
}

TEST_F(Fleets, AnUnapprovedDeviceIsOfferedNothingAndABlockedOneIsRefused) {
  config_.approval = true;
  restart();
  add_firmware("app", "1.1.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  EXPECT_EQ(check_in("probe-1", "1.0.0").attempt, 0U);
  EXPECT_EQ(device("probe-1").approval, rollout::Approval::pending);
  edit({.id = "probe-1",
        .type = {},
        .approval = rollout::Approval::approved,
        .tags = {},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  EXPECT_NE(check_in("probe-1", "1.0.0").attempt, 0U);
  edit({.id = "probe-1",
        .type = {},
        .approval = rollout::Approval::blocked,
        .tags = {},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  EXPECT_EQ(try_check_in(who("probe-1", "1.0.0")).error().code(), Code::denied);
  EXPECT_EQ(attempts("probe-1").front().state, AttemptState::cancelled);
}

TEST_F(Fleets, ATokenIsShownOnceAndOpensOneDevice) {
  check_in("probe-1", "1.0.0");
  const auto token =
      state::must(wait<std::string>([&](auto reply) { fleet_->make_token("probe-1", reply); }));
  EXPECT_EQ(token.size(), 64U);
  EXPECT_EQ(credentials_.check(Scheme::bearer, "", token)->device, "probe-1");
  restart();
  EXPECT_EQ(credentials_.check(Scheme::bearer, "", token)->device, "probe-1");
  EXPECT_TRUE(device("probe-1").has_token);
  state::must(wait<void>([&](auto reply) { fleet_->revoke_token("probe-1", reply); }));
  EXPECT_FALSE(credentials_.check(Scheme::bearer, "", token));
}

TEST_F(Fleets, ARemovedDeviceIsGoneWithItsHistory) {
  add_firmware("app", "1.1.0");
  check_in("probe-1", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("probe-1", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  state::must(wait<void>([&](auto reply) { fleet_->remove_device("probe-1", reply); }));
  EXPECT_EQ(host_.revoked.size(), 1U);
  EXPECT_EQ(deployment(id).counts.members, 0U);
  restart();
  EXPECT_EQ(wait<rollout::DeviceView>([&](auto reply) { fleet_->device("probe-1", reply); }).error().code(),
            Code::not_found);
}

TEST_F(Fleets, PagesOfDevicesAreFilteredAndInOrder) {
  for (const char* id : {"c", "a", "b", "d"}) check_in(id, *id == 'b' ? "2.0.0" : "1.0.0");
  check_in("modem", "1.0.0", "modem");
  rollout::DeviceQuery query;
  query.type = "sensor";
  query.version = "1.0.0";
  query.limit = 2;
  const auto page = [&] {
    return state::must(wait<rollout::DevicePage>([&](auto reply) { fleet_->devices(query, reply); }));
  };
  rollout::DevicePage first = page();
  ASSERT_EQ(first.items.size(), 2U);
  EXPECT_EQ(first.items[0].id + first.items[1].id, "ac");
  EXPECT_EQ(first.devices, 5U);
  query.cursor = first.next;
  const rollout::DevicePage second = page();
  ASSERT_EQ(second.items.size(), 1U);
  EXPECT_EQ(second.items[0].id, "d");
  EXPECT_TRUE(second.next.empty());
}

}  // namespace
}  // namespace otagate::gateway
