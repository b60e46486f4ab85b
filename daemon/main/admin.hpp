// The admin API's view of the daemon, over the gateway.
#pragma once

#include <functional>
#include <string>

#include "api/backend.hpp"
#include "gateway/gateway.hpp"

namespace otagate {

// Thread-safe. Outlived by the gateway.
class Admin final : public api::Backend {
 public:
  // `reload` queues a reload on the control thread; its reply comes when that is through.
  using Reload = std::function<void(Reply<std::vector<std::string>> reply)>;

  // `restart` ends this gateway soon and starts another in the same process.
  Admin(gateway::Gateway& gateway, std::string version, Reload reload, std::function<void()> restart)
      : gateway_(gateway),
        version_(std::move(version)),
        reload_(std::move(reload)),
        restart_(std::move(restart)) {}

  api::StatusView status() const override;
  config::Config config() const override { return gateway_.config(); }
  std::vector<plugin::PluginInfo> plugins() const override { return gateway_.plugins(); }
  std::vector<plugin::InstanceStatus> instances() const override { return gateway_.instances(); }
  std::vector<api::StoreView> stores() const override;
  cache::Stats cache_stats() const override { return gateway_.cache().stats(); }
  state::Stats state_stats() const override { return gateway_.database().stats(); }
  std::vector<cache::BlobRecord> blobs() const override { return gateway_.cache().blobs(); }
  std::optional<cache::BlobRecord> blob(const Digest& digest) const override {
    return gateway_.cache().blob(digest);
  }
  std::vector<cache::FillInfo> fills() const override { return gateway_.cache().fills(); }

  void sync_store(const std::string& name, Reply<void> reply) override {
    gateway_.sync_store(name, std::move(reply));
  }
  void objects(const std::string& store, std::string after, std::size_t limit, bool only_skipped,
               Reply<std::vector<state::Object>> reply) override;
  void catalog(api::FirmwareQuery query, Reply<api::FirmwarePage> reply) override;
  void resolve(std::string name, std::string version, std::string type,
               Reply<std::vector<api::FirmwareView>> reply) override;
  void fetch(std::int64_t firmware, Reply<cache::BlobRecord> reply) override;
  UniqueFd receive_blob(const Digest& digest, std::uint64_t size, Reply<void> reply) override {
    return gateway_.local().receive(digest, size, std::move(reply));
  }
  void open_blob(const Digest& digest, Reply<api::BlobBytes> reply) override;
  void import_firmware(firmware::ImportList list, Reply<std::uint64_t> reply) override {
    gateway_.local().add(std::move(list), std::move(reply));
  }
  void import_bundle(const std::string& manifest, const std::string& signature, bool replace,
                     Reply<std::uint64_t> reply) override {
    gateway_.import_bundle(manifest, signature, replace, std::move(reply));
  }
  void remove_firmware(const std::string& name, const std::string& version, const std::string& type,
                       Reply<void> reply) override {
    gateway_.local().remove(name, version, type, std::move(reply));
  }
  void publish(std::int64_t firmware, std::string store, std::string key,
               Reply<api::PublishedView> reply) override;
  void pin(const Digest& digest, std::string reason, Reply<void> reply) override {
    gateway_.pin(digest, std::move(reason), std::move(reply));
  }
  void unpin(const Digest& digest, Reply<void> reply) override { gateway_.unpin(digest, std::move(reply)); }
  void evict(const Digest& digest, Reply<void> reply) override { gateway_.cache().evict(digest, reply); }
  void verify(const Digest& digest, Reply<void> reply) override { gateway_.cache().verify(digest, reply); }
  void events(state::EventQuery query, Reply<std::vector<state::Event>> reply) override;
  std::uint64_t follow(std::function<void(const state::Event&)> follower) override {
    return gateway_.events().follow(std::move(follower));
  }
  void unfollow(std::uint64_t id) override { gateway_.events().unfollow(id); }
  api::FleetView fleet() const override;
  void devices(rollout::DeviceQuery query, Reply<rollout::DevicePage> reply) override {
    gateway_.fleet().devices(std::move(query), reply);
  }
  void device(std::string id, Reply<rollout::DeviceView> reply) override {
    gateway_.fleet().device(std::move(id), reply);
  }
  void edit_devices(std::vector<rollout::DeviceEdit> edits, Reply<std::uint64_t> reply) override {
    gateway_.fleet().edit_devices(std::move(edits), reply);
  }
  void remove_device(std::string id, Reply<void> reply) override {
    gateway_.fleet().remove_device(std::move(id), reply);
  }
  void make_token(std::string id, Reply<std::string> reply) override {
    gateway_.fleet().make_token(std::move(id), reply);
  }
  void revoke_token(std::string id, Reply<void> reply) override {
    gateway_.fleet().revoke_token(std::move(id), reply);
  }
  void deploy(rollout::Spec spec, Reply<std::int64_t> reply) override {
    gateway_.fleet().deploy(std::move(spec), reply);
  }
  void preview(rollout::Spec spec, Reply<rollout::Preview> reply) override {
    gateway_.fleet().preview(std::move(spec), reply);
  }
  void deployments(rollout::DeploymentQuery query,
                   Reply<std::vector<rollout::DeploymentView>> reply) override {
    gateway_.fleet().deployments(query, reply);
  }
  void deployment(std::int64_t id, Reply<rollout::DeploymentView> reply) override {
    gateway_.fleet().deployment(id, reply);
  }
  void members(std::int64_t id, std::string after, std::size_t limit,
               Reply<std::vector<rollout::MemberView>> reply) override {
    gateway_.fleet().members(id, std::move(after), limit, reply);
  }
  void attempts(std::string device, std::int64_t deployment, std::uint64_t before, std::size_t limit,
                Reply<std::vector<rollout::AttemptView>> reply) override {
    gateway_.fleet().attempts(std::move(device), deployment, before, limit, reply);
  }
  void act(std::int64_t id, api::DeploymentAction action, std::string why,
           Reply<rollout::DeploymentView> reply) override;
  void backup_state(Reply<std::string> reply) override;
  void restore_state(std::string from, Reply<void> reply) override;
  Result<void> set_log_level(const std::string& module, const std::string& level) override;
  void reload(Reply<std::vector<std::string>> reply) override { reload_(std::move(reply)); }

 private:
  gateway::Gateway& gateway_;
  const std::string version_;
  const Reload reload_;
  const std::function<void()> restart_;
};

}  // namespace otagate
