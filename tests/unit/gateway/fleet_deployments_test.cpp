// How deployments share out the devices among them, and how they move on.
#include <gmock/gmock.h>

#include <random>
#include <set>

#include "unit/gateway/fleet_support.hpp"

namespace otagate::gateway {
namespace {

using rollout::AttemptState;
using rollout::RolloutState;

class FleetDeployments : public FleetTest {
 protected:
  std::string offered(const std::string& id, const std::string& version = "1.0.0") {
    const plugin::Offer offer = check_in(id, version);
    return offer.attempt == 0 ? "" : offer.parts.front().version;
  }
};

TEST_F(FleetDeployments, WavesAndConcurrencyHoldDevicesBack) {
  add_firmware("app", "1.1.0");
  for (int i = 0; i < 10; ++i) check_in("d" + std::to_string(i), "1.0.0");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  wanted.policy.waves = {{2, false}, {100, true}};
  wanted.policy.advance_at = {100, true};
  wanted.policy.concurrency = 3;
  const std::int64_t id = deploy(wanted);
  EXPECT_EQ(offered("d0"), "1.1.0");
  EXPECT_EQ(offered("d1"), "1.1.0");
  EXPECT_EQ(offered("d2"), "");  // the first wave is full
  EXPECT_EQ(deployment(id).wave, 0U);
  for (const char* done : {"d0", "d1"}) {
    const auto open = device(done).attempt;
    ASSERT_TRUE(open);
    report(open->id, OTAGATE_ATTEMPT_APPLYING);
    check_in(done, "1.1.0");
  }
  EXPECT_EQ(deployment(id).wave, 1U);
  EXPECT_EQ(offered("d2") + offered("d3") + offered("d4"), "1.1.01.1.01.1.0");
  EXPECT_EQ(offered("d5"), "");  // three at once
  restart();
  EXPECT_EQ(offered("d5"), "");
  EXPECT_EQ(deployment(id).counts.running, 3U);
}

TEST_F(FleetDeployments, TheMoreSpecificOneWinsThenTheNewer) {
  for (const char* version : {"1.1.0", "1.2.0", "1.3.0", "1.4.0"}) add_firmware("app", version);
  check_in("d0", "1.0.0");
  edit({.id = "d0",
        .type = {},
        .approval = {},
        .tags = std::vector<std::string>{"lab"},
        .transport = {},
        .address = {},
        .versions = {},
        .attributes = {}});
  const std::int64_t by_device = deploy(spec("app", "1.1.0", devices({"d0"})));
  deploy(spec("app", "1.2.0", tagged("lab")));
  deploy(spec("app", "1.3.0", of_type("sensor")));
  EXPECT_EQ(offered("d0"), "1.1.0");
  state::must(act(by_device, Fleet::Action::abort));
  EXPECT_EQ(offered("d0"), "1.2.0");
  deploy(spec("app", "1.4.0", tagged("lab")));
  EXPECT_EQ(attempts("d0").front().state, AttemptState::superseded);
  EXPECT_EQ(offered("d0"), "1.4.0");
}

TEST_F(FleetDeployments, WhoAppliesAlreadyIsNotCutOff) {
  add_firmware("app", "1.1.0");
  add_firmware("app", "1.2.0");
  check_in("d0", "1.0.0");
  deploy(spec("app", "1.1.0", of_type("sensor")));
  const plugin::Offer offer = check_in("d0", "1.0.0");
  report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
  deploy(spec("app", "1.2.0", of_type("sensor")));
  EXPECT_TRUE(device("d0").attempt);
  EXPECT_TRUE(host_.revoked.empty());
  EXPECT_EQ(offered("d0", "1.1.0"), "1.2.0");  // it arrived, and goes on to the newer one
  EXPECT_EQ(attempts("d0").back().state, AttemptState::confirmed);
}

TEST_F(FleetDeployments, AStandingOneTakesInWhoComesLaterAFrozenOneDoesNot) {
  add_firmware("app", "1.1.0");
  add_firmware("tool", "1.0.0");
  check_in("early", "1.0.0");
  rollout::Spec frozen = spec("tool", "1.0.0", of_type("sensor"));
  frozen.parts[0].component = "tool";
  frozen.policy.once = true;
  const std::int64_t once = deploy(frozen);
  const std::int64_t standing = deploy(spec("app", "1.1.0", of_type("sensor")));
  check_in("late", "1.0.0");
  EXPECT_EQ(deployment(once).counts.members, 1U);
  EXPECT_EQ(deployment(standing).counts.members, 2U);
  restart();
  check_in("later", "1.0.0");
  EXPECT_EQ(deployment(once).counts.members, 1U);
  EXPECT_EQ(deployment(standing).counts.members, 3U);
}

TEST_F(FleetDeployments, AFrozenOneCompletes) {
  add_firmware("app", "1.1.0");
  check_in("d0", "1.0.0");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  wanted.policy.once = true;
  const std::int64_t id = deploy(wanted);
  EXPECT_EQ(update("d0", "1.0.0", "1.1.0"), AttemptState::confirmed);
  EXPECT_EQ(deployment(id).state, RolloutState::completed);
  EXPECT_TRUE(deployment(id).ended_ms);
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
  restart();
  EXPECT_EQ(deployment(id).state, RolloutState::completed);
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
}

TEST_F(FleetDeployments, AChannelFollowsTheNewest) {
  add_firmware("app", "1.1.0");
  check_in("d0", "1.0.0");
  const std::int64_t id = deploy(spec("app", "latest", of_type("sensor")));
  EXPECT_EQ(update("d0", "1.0.0", "1.1.0"), AttemptState::confirmed);
  EXPECT_EQ(deployment(id).counts.succeeded, 1U);
  add_firmware("app", "1.2.0");
  plugin::CheckIn in = who("d0", "1.1.0");
  in.timeout = std::chrono::seconds(30);
  const plugin::Offer offer = state::must(try_check_in(in));
  ASSERT_EQ(offer.parts.size(), 1U);
  EXPECT_EQ(offer.parts[0].version, "1.2.0");
  EXPECT_EQ(deployment(id).counts.succeeded, 0U);
}

TEST_F(FleetDeployments, AChannelSeesWhatChangedWhileNobodyLooked) {
  add_firmware("app", "1.1.0");
  check_in("d0", "1.0.0");
  const std::int64_t id = deploy(spec("app", "latest", of_type("sensor")));
  EXPECT_EQ(update("d0", "1.0.0", "1.1.0"), AttemptState::confirmed);
  fleet_.reset();
  add_firmware("app", "1.2.0");
  start();
  settled();
  EXPECT_EQ(offered("d0", "1.1.0"), "1.2.0");
  EXPECT_EQ(deployment(id).counts.succeeded, 0U);
}

TEST_F(FleetDeployments, FirmwareThatDoesNotExistIsSaidAndWaitedFor) {
  check_in("d0", "1.0.0");
  const std::int64_t id = deploy(spec("app", "1.1.0", of_type("sensor")));
  EXPECT_EQ(offered("d0"), "");
  ASSERT_EQ(deployment(id).problems.size(), 1U);
  EXPECT_THAT(deployment(id).problems[0],
              testing::HasSubstr("there is no firmware app/1.1.0 for type sensor"));
  add_firmware("app", "1.1.0");
  plugin::CheckIn in = who("d0", "1.0.0");
  in.timeout = std::chrono::seconds(30);
  EXPECT_NE(state::must(try_check_in(in)).attempt, 0U);
  EXPECT_TRUE(deployment(id).problems.empty());
}

TEST_F(FleetDeployments, TooManyFailuresAbortIt) {
  add_firmware("app", "1.1.0");
  for (int i = 0; i < 6; ++i) check_in("d" + std::to_string(i), "1.0.0");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  wanted.policy.abort_at = rollout::Amount{2, false};
  wanted.policy.attempts = 1;
  const std::int64_t id = deploy(wanted);
  std::vector<std::uint64_t> open;
  for (int i = 0; i < 4; ++i) open.push_back(check_in("d" + std::to_string(i), "1.0.0").attempt);
  report(open[3], OTAGATE_ATTEMPT_APPLYING);
  report(open[0], OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(deployment(id).state, RolloutState::active);
  report(open[1], OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(deployment(id).state, RolloutState::aborted);
  EXPECT_EQ(attempts("d2").front().state, AttemptState::cancelled);
  EXPECT_TRUE(device("d3").attempt);  // it applies
  EXPECT_EQ(offered("d5"), "");
  restart();
  EXPECT_EQ(offered("d3", "1.1.0"), "");
  EXPECT_EQ(attempts("d3").front().state, AttemptState::confirmed);
}

TEST_F(FleetDeployments, PauseResumeApproveRetry) {
  add_firmware("app", "1.1.0");
  check_in("d0", "1.0.0");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  wanted.policy.approval = true;
  wanted.policy.attempts = 1;
  const std::int64_t id = deploy(wanted);
  EXPECT_EQ(offered("d0"), "");
  EXPECT_EQ(state::must(act(id, Fleet::Action::approve)).state, RolloutState::active);
  EXPECT_EQ(state::must(act(id, Fleet::Action::pause)).state, RolloutState::paused);
  EXPECT_EQ(offered("d0"), "");
  EXPECT_EQ(act(id, Fleet::Action::pause).error().code(), Code::precondition);
  EXPECT_EQ(state::must(act(id, Fleet::Action::resume)).state, RolloutState::active);
  report(check_in("d0", "1.0.0").attempt, OTAGATE_ATTEMPT_FAILED);
  EXPECT_EQ(offered("d0"), "");
  // All of its only device failed: it has paused by itself or stands with a failed one.
  state::must(act(id, Fleet::Action::retry));
  EXPECT_EQ(offered("d0"), "1.1.0");
  EXPECT_EQ(act(4711, Fleet::Action::abort).error().code(), Code::not_found);
}

// Any order of what devices, operators and kill -9 do: nobody is lost, nobody is at it twice, and no more at
// once than may be.
TEST_F(FleetDeployments, NoOrderOfEventsBreaksTheRules) {
  add_firmware("app", "1.1.0");
  constexpr int kDevices = 12;
  constexpr std::uint32_t kConcurrency = 3;
  std::mt19937 dice(20261121);
  const auto roll = [&](int sides) { return static_cast<int>(dice() % static_cast<unsigned>(sides)); };
  std::vector<std::string> runs(kDevices, "1.0.0");
  for (int i = 0; i < kDevices; ++i) check_in("d" + std::to_string(i), "1.0.0");
  rollout::Spec wanted = spec("app", "1.1.0", of_type("sensor"));
  wanted.policy.waves = {{2, false}, {6, false}, {100, true}};
  wanted.policy.concurrency = kConcurrency;
  wanted.policy.attempts = 50;
  wanted.policy.retry_first = wanted.policy.retry_most = std::chrono::milliseconds(1);
  wanted.policy.advance_at = {50, true};
  const std::int64_t id = deploy(wanted);
  for (int step = 0; step < state::scaled(4000) / 4; ++step) {
    const int number = roll(kDevices);
    const std::string name = "d" + std::to_string(number);
    const auto open = device(name).attempt;
    switch (roll(8)) {
      case 0:
      case 1: check_in(name, runs[static_cast<std::size_t>(number)]); break;
      case 2:
        if (open) report(open->id, OTAGATE_ATTEMPT_DOWNLOADING, static_cast<std::uint64_t>(roll(1000)));
        break;
      case 3:
        if (open) report(open->id, OTAGATE_ATTEMPT_APPLYING);
        break;
      case 4:
        if (open && open->state == AttemptState::applying) {
          runs[static_cast<std::size_t>(number)] = "1.1.0";
          check_in(name, "1.1.0");
        }
        break;
      case 5:
        if (open && roll(3) == 0) report(open->id, OTAGATE_ATTEMPT_FAILED);
        break;
      case 6:
        if (roll(4) == 0) (void)act(id, roll(2) == 0 ? Fleet::Action::pause : Fleet::Action::resume);
        break;
      case 7:
        if (roll(20) == 0) restart();
        break;
      default: break;
    }
    const rollout::DeploymentView view = deployment(id);
    const rollout::Counts& counts = view.counts;
    ASSERT_EQ(counts.members, unsigned{kDevices});
    ASSERT_EQ(counts.waiting + counts.running + counts.succeeded + counts.failed + counts.current,
              counts.members);
    ASSERT_LE(counts.running, kConcurrency);
    ASSERT_LE(counts.admitted, view.limit);
    std::uint32_t at_it = 0;
    for (int i = 0; i < kDevices; ++i) at_it += device("d" + std::to_string(i)).attempt ? 1 : 0;
    ASSERT_EQ(at_it, counts.running) << "after step " << step;
  }
  // Left to themselves all arrive.
  (void)act(id, Fleet::Action::resume);
  for (int round = 0; round < 200 && deployment(id).counts.succeeded < kDevices; ++round) {
    for (int i = 0; i < kDevices; ++i) {
      const std::string name = "d" + std::to_string(i);
      const auto offer = check_in(name, runs[static_cast<std::size_t>(i)]);
      if (offer.attempt == 0) continue;
      report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
      runs[static_cast<std::size_t>(i)] = "1.1.0";
      check_in(name, "1.1.0");
    }
    (void)act(id, Fleet::Action::resume);
  }
  EXPECT_EQ(deployment(id).counts.succeeded + deployment(id).counts.current, unsigned{kDevices});
}

}  // namespace
}  // namespace otagate::gateway
