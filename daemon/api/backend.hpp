// What the admin API asks of the daemon. The composition root implements it over the gateway.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/types.hpp"
#include "config/config.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"
#include "core/fd.hpp"
#include "firmware/import_list.hpp"
#include "plugin/registry.hpp"
#include "rollout/views.hpp"
#include "state/database.hpp"
#include "state/events.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"

namespace otagate::api {

struct StatusView {
  bool ok = true;
  std::vector<std::string> problems;  // one sentence each, empty when ok
  std::string version;
  std::string name;  // of this gateway
  std::int64_t started_ms = 0;
  std::int64_t uptime_ms = 0;
  bool clock_synchronised = false;
  std::string config_file;
  std::string reload_error;
};

struct StoreView {
  config::Store config;
  plugin::InstanceState state = plugin::InstanceState::stopped;
  std::string reason;  // why it is not running
  std::string phase;   // "idle", "listing", "examining"
  std::int64_t last_sync_ms = 0;
  std::int64_t last_ok_ms = 0;
  std::string last_error;
  std::uint64_t objects = 0;
  std::uint64_t skipped = 0;
  std::uint64_t requests = 0;
  std::uint64_t body_bytes = 0;
  std::uint64_t errors = 0;
  std::int64_t open_for_ms = 0;  // requests to it fail at once for so long
  std::int64_t next_in_ms = 0;   // until the next listing
  // Where it assigns updates to devices.
  struct Assignments {
    std::uint64_t watched = 0;  // devices it was told of
    std::uint64_t unsaid = 0;   // devices it has yet to be told of
    std::uint64_t outbox = 0;   // feedback it has yet to be told
    std::string last_error;     // empty: the last call was good
  };
  std::optional<Assignments> assignments{};
};

struct FirmwareView {
  state::Firmware firmware;
  std::string tag;
  std::optional<Digest> digest;
  std::int64_t modified_ms = 0;
};

struct FirmwarePage {
  std::vector<FirmwareView> items;
  std::string next;  // empty: that was the last page
};

struct FirmwareQuery {
  std::string name, type, store;  // empty: all
  std::string cursor;
  std::size_t limit = 100;
  bool shadowed = false;  // also what another store's firmware of the same name hides
};

// Verified bytes of the cache; `hold` keeps them there and the descriptor open.
struct BlobBytes {
  std::shared_ptr<const void> hold;
  int fd = -1;
  std::uint64_t size = 0;
};

// An object that was made in a store.
struct PublishedView {
  std::string store;
  std::string key;
  std::string change_token;
};

// What is counted of devices and their updates, for the metrics.
struct FleetView {
  std::uint64_t devices = 0;
  std::uint64_t check_ins = 0;
  std::uint64_t written = 0;                             // check-ins that had to be
  std::map<rollout::AttemptState, std::uint64_t> open;   // attempts, now
  std::map<rollout::AttemptState, std::uint64_t> ended;  // since the start
};

enum class DeploymentAction { approve, pause, resume, abort, retry };

// Thread-safe. Functions with a reply call back exactly once, inline or on a thread of the daemon: the
// reply must not block. The others return at once or after a short wait and are not for the thread of
// an event loop that also serves devices.
class Backend {
 public:
  template <class T>
  using Reply = std::function<void(Result<T>)>;

  virtual ~Backend() = default;

  virtual StatusView status() const = 0;
  virtual config::Config config() const = 0;
  virtual std::vector<plugin::PluginInfo> plugins() const = 0;
  virtual std::vector<plugin::InstanceStatus> instances() const = 0;
  virtual std::vector<StoreView> stores() const = 0;
  virtual cache::Stats cache_stats() const = 0;
  virtual state::Stats state_stats() const = 0;
  virtual std::vector<cache::BlobRecord> blobs() const = 0;
  virtual std::optional<cache::BlobRecord> blob(const Digest& digest) const = 0;
  virtual std::vector<cache::FillInfo> fills() const = 0;

  virtual void sync_store(const std::string& name, Reply<void> reply) = 0;
  // Objects of a store by key; with only_skipped those that are not firmware, with the reason.
  virtual void objects(const std::string& store, std::string after, std::size_t limit, bool only_skipped,
                       Reply<std::vector<state::Object>> reply) = 0;
  virtual void catalog(FirmwareQuery query, Reply<FirmwarePage> reply) = 0;
  // One, or several when the device type is open. `version` may be "latest".
  virtual void resolve(std::string name, std::string version, std::string type,
                       Reply<std::vector<FirmwareView>> reply) = 0;
  // Brings it into the cache; replies when it is verified there. Rejected firmware is tried once more.
  virtual void fetch(std::int64_t firmware, Reply<cache::BlobRecord> reply) = 0;
  // Takes `size` bytes into the cache: they are to be written to the socket that is returned, which is then
  // closed; none where nothing is wanted. The reply comes when they are verified and durable.
  virtual UniqueFd receive_blob(const Digest& digest, std::uint64_t size, Reply<void> reply) = 0;
  virtual void open_blob(const Digest& digest, Reply<BlobBytes> reply) = 0;
  // Firmware of blobs in the cache, all or none; replies with how many are new or changed.
  virtual void import_firmware(firmware::ImportList list, Reply<std::uint64_t> reply) = 0;
  virtual void import_bundle(const std::string& manifest, const std::string& signature, bool replace,
                             Reply<std::uint64_t> reply) = 0;
  virtual void remove_firmware(const std::string& name, const std::string& version, const std::string& type,
                               Reply<void> reply) = 0;
  // Into a store that takes it, under `key` or one that the store makes.
  virtual void publish(std::int64_t firmware, std::string store, std::string key,
                       Reply<PublishedView> reply) = 0;
  virtual void pin(const Digest& digest, std::string reason, Reply<void> reply) = 0;
  virtual void unpin(const Digest& digest, Reply<void> reply) = 0;
  virtual void evict(const Digest& digest, Reply<void> reply) = 0;
  virtual void verify(const Digest& digest, Reply<void> reply) = 0;

  virtual void events(state::EventQuery query, Reply<std::vector<state::Event>> reply) = 0;
  // The follower is called on a thread of the daemon, in order; it must not block or (un)follow.
  virtual std::uint64_t follow(std::function<void(const state::Event&)> follower) = 0;
  virtual void unfollow(std::uint64_t id) = 0;

  virtual FleetView fleet() const = 0;
  virtual void devices(rollout::DeviceQuery query, Reply<rollout::DevicePage> reply) = 0;
  virtual void device(std::string id, Reply<rollout::DeviceView> reply) = 0;
  // All or none; replies with how many were made.
  virtual void edit_devices(std::vector<rollout::DeviceEdit> edits, Reply<std::uint64_t> reply) = 0;
  virtual void remove_device(std::string id, Reply<void> reply) = 0;
  // A new bearer token, shown this once; the one before is void.
  virtual void make_token(std::string id, Reply<std::string> reply) = 0;
  virtual void revoke_token(std::string id, Reply<void> reply) = 0;

  virtual void deploy(rollout::Spec spec, Reply<std::int64_t> reply) = 0;
  virtual void preview(rollout::Spec spec, Reply<rollout::Preview> reply) = 0;
  virtual void deployments(rollout::DeploymentQuery query,
                           Reply<std::vector<rollout::DeploymentView>> reply) = 0;
  virtual void deployment(std::int64_t id, Reply<rollout::DeploymentView> reply) = 0;
  // By device id, after `after`.
  virtual void members(std::int64_t id, std::string after, std::size_t limit,
                       Reply<std::vector<rollout::MemberView>> reply) = 0;
  // Newest first, before `before` (0: from the newest); of one device, of one deployment (0: of any).
  virtual void attempts(std::string device, std::int64_t deployment, std::uint64_t before, std::size_t limit,
                        Reply<std::vector<rollout::AttemptView>> reply) = 0;
  virtual void act(std::int64_t id, DeploymentAction action, std::string why,
                   Reply<rollout::DeploymentView> reply) = 0;

  // Writes a consistent copy of the state database to a new file in the folder of the state, named by
  // the daemon; replies with its path.
  virtual void backup_state(Reply<std::string> reply) = 0;
  // Replaces the state by a backup and starts the gateway anew, in the same process.
  virtual void restore_state(std::string from, Reply<void> reply) = 0;
  // "info", or a level for one module; until the next reload or restart.
  virtual Result<void> set_log_level(const std::string& module, const std::string& level) = 0;
  // Reads the configuration again, as SIGHUP does; replies with the settings that need a restart.
  virtual void reload(Reply<std::vector<std::string>> reply) = 0;
};

}  // namespace otagate::api
