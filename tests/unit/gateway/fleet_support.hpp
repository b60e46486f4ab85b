// What the tests of the fleet share: a real database with a catalog in it, and a host that says what it was
// asked for.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/fleet.hpp"
#include "otagate/transport.h"
#include "state/objects.hpp"
#include "unit/state/support.hpp"

namespace otagate::gateway {

class ScriptedHost final : public FleetHost {
 public:
  void fill(const Entry& entry, std::function<void(Result<Digest>)> done) override {
    {
      const std::scoped_lock lock(mutex);
      if (held_back) {
        waiting.emplace_back(*entry.digest, std::move(done));
        return;
      }
    }
    done(*entry.digest);
  }
  void keep(const std::string& owner, std::vector<Digest> digests) override {
    const std::scoped_lock lock(mutex);
    kept[owner] = std::move(digests);
  }
  void nudge(const std::string&, const std::string&) override {}
  void revoke(const std::string& transport, std::uint64_t attempt, std::uint32_t reason) override {
    const std::scoped_lock lock(mutex);
    revoked.push_back({transport, attempt, reason});
  }
  void credentials_changed() override {}
  void device_known(const KnownDevice& device) override {
    const std::scoped_lock lock(mutex);
    known[device.id] = device;
  }
  void device_gone(const std::string& id) override {
    const std::scoped_lock lock(mutex);
    known.erase(id);
  }
  void feedback_waits(const state::OutboxRow& row) override {
    const std::scoped_lock lock(mutex);
    feedback.push_back(row);
  }

  void release() {
    std::vector<std::pair<Digest, std::function<void(Result<Digest>)>>> taken;
    {
      const std::scoped_lock lock(mutex);
      held_back = false;
      taken.swap(waiting);
    }
    for (auto& [digest, done] : taken) done(digest);
  }

  struct Revoked {
    std::string transport;
    std::uint64_t attempt;
    std::uint32_t reason;
  };
  std::mutex mutex;
  bool held_back = false;  // fills wait for release()
  std::vector<std::pair<Digest, std::function<void(Result<Digest>)>>> waiting;
  std::map<std::string, std::vector<Digest>> kept;
  std::vector<Revoked> revoked;
  std::map<std::string, KnownDevice> known;
  std::vector<state::OutboxRow> feedback;
};

class FleetTest : public state::StateTest {
 protected:
  void SetUp() override {
    state::StateTest::SetUp();
    start();
  }
  void TearDown() override { fleet_.reset(); }

  void start() {
    fleet_ = std::make_unique<Fleet>(*db_, catalog_, credentials_, events_, host_);
    state::must(fleet_->start(config_));
  }
  // As after kill -9: nothing but the database is left.
  void restart() {
    fleet_.reset();
    start();
    settled();
  }
  // What was begun behind the scenes (looking firmware up, filling) has come to its end: each round takes
  // what goes from one thread to the next a step further.
  void settled() {
    for (int round = 0; round < 6; ++round) {
      read([](state::Reader&) -> Result<void> { return {}; });
      write([](state::Writer&) -> Result<void> { return {}; });
      state::must(wait<rollout::DevicePage>([&](auto reply) { fleet_->devices({}, reply); }));
    }
  }

  void add_firmware(std::string name, std::string version, std::string type = "sensor",
                    std::string kind = "firmware", std::optional<std::string> dependency = std::nullopt) {
    const std::string key = name + "-" + version + "-" + type;
    write([&](state::Writer& w) -> Result<void> {
      auto object = state::put_object(w, {.store = near_, .key = key, .change_token = "t", .size = 1000});
      if (!object) return fail(object.error());
      auto id = state::put_firmware(w, {.object = *object,
                                        .store = near_,
                                        .name = name,
                                        .version = version,
                                        .type = type,
                                        .kind = kind,
                                        .dependency = dependency,
                                        .size = 1000,
                                        .expected_digest = state::digest_of(key),
                                        .sequence = ++sequence_});
      if (!id) return fail(id.error());
      return {};
    });
    if (fleet_) fleet_->catalog_changed();
  }

  template <class T, class Call>
  static Result<T> wait(Call call) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    call([promise](Result<T> result) { promise->set_value(std::move(result)); });
    return future.get();
  }

  static std::shared_ptr<const Principal> anybody() { return std::make_shared<const Principal>(); }
  static std::shared_ptr<const Principal> bound_to(std::string device, std::string type = "") {
    Principal principal;
    principal.id = 7;
    principal.name = "of " + device;
    principal.device = std::move(device);
    principal.type = std::move(type);
    return std::make_shared<const Principal>(std::move(principal));
  }

  static plugin::CheckIn who(std::string device, std::string version, std::string type = "sensor") {
    plugin::CheckIn in;
    in.device = std::move(device);
    in.type = std::move(type);
    in.address = "10.0.0.7:4711";
    if (!version.empty()) in.versions.emplace_back("application", std::move(version));
    return in;
  }
  Result<plugin::Offer> try_check_in(plugin::CheckIn in, std::shared_ptr<const Principal> by = anybody()) {
    return wait<plugin::Offer>([&](auto reply) { fleet_->check_in("http", by, std::move(in), reply); });
  }
  plugin::Offer check_in(std::string device, std::string version, std::string type = "sensor") {
    return state::must(try_check_in(who(std::move(device), std::move(version), std::move(type))));
  }
  Result<std::uint32_t> try_report(std::uint64_t attempt, std::uint32_t state, std::string device = "",
                                   std::uint64_t offset = 0,
                                   std::shared_ptr<const Principal> by = anybody()) {
    plugin::Progress progress;
    progress.attempt = attempt;
    progress.state = state;
    progress.offset = offset;
    progress.device = std::move(device);
    return wait<std::uint32_t>([&](auto reply) { fleet_->progress("http", by, progress, reply); });
  }
  std::uint32_t report(std::uint64_t attempt, std::uint32_t state, std::uint64_t offset = 0) {
    return state::must(try_report(attempt, state, "", offset));
  }

  static rollout::Spec spec(std::string name, std::string version, rollout::Target target) {
    rollout::Spec spec;
    spec.parts.push_back({.component = "application",
                          .name = std::move(name),
                          .version = std::move(version),
                          .type = "",
                          .store = ""});
    spec.target = std::move(target);
    return spec;
  }
  static rollout::Target of_type(std::string type) {
    return {.devices = {}, .type = std::move(type), .tags = {}};
  }
  static rollout::Target devices(std::vector<std::string> ids) {
    return {.devices = std::move(ids), .type = "", .tags = {}};
  }
  static rollout::Target tagged(std::string tag) {
    return {.devices = {}, .type = "", .tags = {std::move(tag)}};
  }
  std::int64_t deploy(const rollout::Spec& what) {
    const auto id = state::must(wait<std::int64_t>([&](auto reply) { fleet_->deploy(what, reply); }));
    settled();
    return id;
  }
  rollout::DeploymentView deployment(std::int64_t id) {
    return state::must(wait<rollout::DeploymentView>([&](auto reply) { fleet_->deployment(id, reply); }));
  }
  rollout::DeviceView device(const std::string& id) {
    return state::must(wait<rollout::DeviceView>([&](auto reply) { fleet_->device(id, reply); }));
  }
  std::vector<rollout::AttemptView> attempts(const std::string& of) {
    return state::must(
        wait<std::vector<rollout::AttemptView>>([&](auto reply) { fleet_->attempts(of, 0, 0, 100, reply); }));
  }
  Result<rollout::DeploymentView> act(std::int64_t id, Fleet::Action action) {
    return wait<rollout::DeploymentView>([&](auto reply) { fleet_->act(id, action, "because", reply); });
  }
  void edit(rollout::DeviceEdit what) {
    state::must(wait<std::uint64_t>([&](auto reply) { fleet_->edit_devices({std::move(what)}, reply); }));
  }
  // A device that does what it is told, to the end.
  rollout::AttemptState update(const std::string& id, const std::string& from, const std::string& to) {
    const plugin::Offer offer = check_in(id, from);
    if (offer.attempt == 0) {
      ADD_FAILURE() << id << " was offered nothing";
      return rollout::AttemptState::cancelled;
    }
    report(offer.attempt, OTAGATE_ATTEMPT_DOWNLOADED, 1000);
    report(offer.attempt, OTAGATE_ATTEMPT_APPLYING);
    check_in(id, to);
    return attempts(id).front().state;
  }

  config::Devices config_;
  Catalog catalog_{*db_};
  Credentials credentials_;
  EventLog events_{*db_};
  ScriptedHost host_;
  std::unique_ptr<Fleet> fleet_;
  std::int64_t sequence_ = 0;
};

}  // namespace otagate::gateway
