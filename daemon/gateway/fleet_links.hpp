// What the fleet wants of the rest of the gateway: bytes in the cache that stay there, and transports told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.hpp"
#include "gateway/fleet.hpp"
#include "gateway/opener.hpp"
#include "gateway/relay.hpp"
#include "plugin/transport.hpp"

namespace otagate::gateway {

// The fleet's thread.
class FleetLinks final : public FleetHost {
 public:
  using Transports = std::function<std::vector<std::shared_ptr<plugin::TransportInstance>>()>;

  // `transports`: those that run now; any thread. All outlive this.
  FleetLinks(Opener& opener, cache::Cache& cache, Relay& relay, Transports transports)
      : opener_(opener), cache_(cache), relay_(relay), transports_(std::move(transports)) {}

  void fill(const Entry& entry, std::function<void(Result<Digest>)> done) override;
  void keep(const std::string& owner, std::vector<Digest> digests) override;
  void nudge(const std::string& transport, const std::string& device) override;
  void revoke(const std::string& transport, std::uint64_t attempt, std::uint32_t reason) override;
  void credentials_changed() override;
  void device_known(const KnownDevice& device) override { relay_.device_known(device); }
  void device_gone(const std::string& id) override { relay_.device_gone(id); }
  void feedback_waits(const state::OutboxRow& row) override { relay_.feedback_waits(row); }

 private:
  std::shared_ptr<plugin::TransportInstance> find(const std::string& name) const;

  Opener& opener_;
  cache::Cache& cache_;
  Relay& relay_;
  Transports transports_;
  std::map<std::string, std::vector<Digest>> kept_;  // sorted, by owner
};

}  // namespace otagate::gateway
