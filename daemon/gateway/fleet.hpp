// The fleet: every device that is known, the deployments meant for them, and the attempts under way.
//
// All of it is in memory and belongs to one thread; SQLite has the same, written before anybody is answered.
// So a check-in that changes nothing costs no I/O, and one that does shares its commit with all others.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "gateway/catalog.hpp"
#include "gateway/credentials.hpp"
#include "gateway/events.hpp"
#include "plugin/storage.hpp"
#include "plugin/transport.hpp"
#include "rollout/views.hpp"
#include "state/database.hpp"
#include "state/outbox.hpp"

namespace otagate::gateway {

// A device as stores that assign updates are told of it.
struct KnownDevice {
  std::string id;
  std::string type;
  std::vector<std::string> tags;
  plugin::Pairs attributes;  // its own, "type", "version", "version.<component>"
  bool approved = false;
};

// What the fleet wants of the rest of the gateway. Called on the fleet's thread, must not block.
class FleetHost {
 public:
  virtual ~FleetHost() = default;
  // Brings the blob into the cache; `done` once it is verified there, or with why not.
  virtual void fill(const Entry& entry, std::function<void(Result<Digest>)> done) = 0;
  // Keeps the blobs that open deployments need, by their owner; replaces what that owner kept.
  virtual void keep(const std::string& owner, std::vector<Digest> digests) = 0;
  // To the transport a device came by last.
  virtual void nudge(const std::string& transport, const std::string& device) = 0;
  // Tokens of devices have changed.
  virtual void credentials_changed() = 0;
  virtual void revoke(const std::string& transport, std::uint64_t attempt, std::uint32_t reason) = 0;
  // Stores that assign want to know of it; said again whenever something of it has changed.
  virtual void device_known(const KnownDevice& device) = 0;
  virtual void device_gone(const std::string& id) = 0;
  // Is in the outbox, durably. On the database's thread.
  virtual void feedback_waits(const state::OutboxRow& row) = 0;
};

// A part of an open attempt's offer: exactly these bytes, whatever the catalog says by now.
struct FleetPart {
  Digest digest;
  std::string device;
  std::string name, version, type;
  std::optional<std::uint64_t> size;
};
// The id by which transports open it, apart from those of firmware rows.
inline constexpr std::uint64_t kPartBit = std::uint64_t{1} << 63;
constexpr std::uint64_t part_handle(rollout::AttemptId attempt, std::uint32_t part) {
  return kPartBit | attempt << 4 | part;
}

struct FleetCounts {
  std::uint64_t devices = 0;
  std::uint64_t check_ins = 0;
  std::uint64_t written = 0;                             // check-ins that had to be
  std::map<rollout::AttemptState, std::uint64_t> open;   // attempts, now
  std::map<rollout::AttemptState, std::uint64_t> ended;  // since the start
};

// Any thread. Replies come exactly once, on the fleet's or the database's thread: they must not block.
class Fleet {
 public:
  template <class T>
  using Reply = std::function<void(Result<T>)>;

  // Everything outlives the fleet.
  Fleet(state::Database& db, Catalog& catalog, Credentials& credentials, EventLog& events, FleetHost& host);
  ~Fleet();  // stop()
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Reads what the database has. Blocks.
  Result<void> start(const config::Devices& config);
  void reload(const config::Devices& config);
  void stop();

  // ---- for transports
  void check_in(std::string_view instance, std::shared_ptr<const Principal> principal,
                plugin::CheckIn check_in, Reply<plugin::Offer> reply);
  void progress(std::string_view instance, std::shared_ptr<const Principal> principal,
                plugin::Progress progress, const Reply<std::uint32_t>& reply);
  // What a part_handle() stands for; nothing once the attempt is over.
  std::optional<FleetPart> open_part(std::uint64_t handle) const;
  // Whether an open attempt offers these bytes to a device that may be the principal's.
  bool is_offered(const Digest& digest, const Principal& principal) const;
  // An answer of the catalog may differ: channels are resolved anew.
  void catalog_changed();

  // ---- for stores that assign updates
  // The store runs now, with these settings: every device is made known to the host.
  void set_assigner(std::string store, config::StoreAssignments settings);
  void remove_assigner(std::string store);
  // False: no room now.
  bool assigned(std::string store, plugin::Assignment said);
  bool unassigned(std::string store, std::string external_id);
  // Upstream has heard that somebody agreed.
  void told_that_agreed(std::string store, std::string external_id);

  // ---- for operators
  void devices(rollout::DeviceQuery query, const Reply<rollout::DevicePage>& reply);
  void device(std::string id, const Reply<rollout::DeviceView>& reply);
  // All or none; at most 10,000. Replies with how many were made.
  void edit_devices(std::vector<rollout::DeviceEdit> edits, const Reply<std::uint64_t>& reply);
  void remove_device(std::string id, const Reply<void>& reply);
  // A new bearer token for the device, shown this once; the old one is void. revoke: none any more.
  void make_token(std::string id, const Reply<std::string>& reply);
  void revoke_token(std::string id, const Reply<void>& reply);

  void deploy(rollout::Spec spec, const Reply<std::int64_t>& reply);
  void preview(rollout::Spec spec, const Reply<rollout::Preview>& reply);
  void deployments(rollout::DeploymentQuery query, const Reply<std::vector<rollout::DeploymentView>>& reply);
  void deployment(std::int64_t id, const Reply<rollout::DeploymentView>& reply);
  // By device id, after `after`.
  void members(std::int64_t id, std::string after, std::size_t limit,
               const Reply<std::vector<rollout::MemberView>>& reply);
  // Newest first, before `before` (0: from the newest); of one device or deployment, or of all.
  void attempts(std::string device, std::int64_t deployment, std::uint64_t before, std::size_t limit,
                const Reply<std::vector<rollout::AttemptView>>& reply);
  enum class Action { approve, pause, resume, abort, retry };
  void act(std::int64_t id, Action action, std::string why, const Reply<rollout::DeploymentView>& reply);

  FleetCounts counts() const;

 private:
  class Core;
  std::shared_ptr<Core> core_;  // also held by what is on its way
};

}  // namespace otagate::gateway
