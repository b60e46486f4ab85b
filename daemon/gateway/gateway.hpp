// The gateway: stores, cache, catalog and transports, tied together and kept in step with the
// configuration.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cache/cache.hpp"
#include "config/config.hpp"
#include "config/diff.hpp"
#include "gateway/catalog.hpp"
#include "gateway/credentials.hpp"
#include "gateway/events.hpp"
#include "gateway/fleet.hpp"
#include "gateway/fleet_links.hpp"
#include "gateway/journal.hpp"
#include "gateway/local_store.hpp"
#include "gateway/opener.hpp"
#include "gateway/relay.hpp"
#include "gateway/services.hpp"
#include "gateway/store_runner.hpp"
#include "gateway/webhooks.hpp"
#include "plugin/registry.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// How the whole does. Ordered: later is worse.
enum class Health { ok, degraded };

struct Status {
  Health health = Health::ok;
  std::vector<std::string> problems;  // one sentence each; empty when ok
  std::int64_t started_ms = 0;
  std::int64_t uptime_ms = 0;
  bool clock_synchronised = false;
  std::string config_file;
  std::string reload_error;  // of the last reload, empty if it was good or there was none
};

struct StoreView {
  config::Store config;
  StoreStatus status;  // as far as it runs
  plugin::InstanceState state = plugin::InstanceState::failed;
  std::string reason;
  std::optional<AssignmentsStatus> assignments;  // where it assigns updates
};

// What a fetch on demand came to.
struct Fetched {
  Entry entry;
  Digest digest;
  std::uint64_t size = 0;
};

// What a publication made.
struct Published {
  std::string store;
  std::string key;
  std::string change_token;
};

class Gateway final : public plugin::StorageListener, public plugin::InstanceListener {
 public:
  // `db` outlives the gateway.
  Gateway(state::Database& db, config::Config config);
  ~Gateway() override;  // stop()
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Opens the cache, creates stores and transports. An instance that cannot be created is marked failed
  // and the rest runs; only a cache that cannot be opened is an error. Once.
  Result<void> start();

  // Takes over what differs: new instances start, removed ones drain, unchanged ones are untouched.
  // Returns the settings that need a restart. Blocks while removed transports drain.
  std::vector<std::string> reload(config::Config config);
  // A reload that was refused: shown in status until one succeeds.
  void reload_failed(std::string reason);

  // Drains the transports within drain_timeout, then ends everything. Idempotent.
  void stop();

  // ---- for the admin API; any thread
  Status status() const;
  std::vector<plugin::PluginInfo> plugins() const;
  std::vector<plugin::InstanceStatus> instances() const;
  std::vector<StoreView> stores() const;
  config::Config config() const;
  Catalog& catalog() { return catalog_; }
  EventLog& events() { return events_; }
  state::Database& database() { return db_; }
  cache::Cache& cache() { return *cache_; }
  Fleet& fleet() { return *fleet_; }

  // Lists a store now; not_found names the stores there are.
  void sync_store(const std::string& name, std::function<void(Result<void>)> done);
  // Brings the firmware into the cache, also when it was rejected before. Any thread; `done` once.
  void fetch(const Entry& entry, std::function<void(Result<Fetched>)> done);
  // Verified bytes of the cache, whole; not_found where they are not there.
  void open_blob(const Digest& digest, const std::function<void(Result<cache::ReaderPtr>)>& done);
  LocalStore& local() { return *local_; }
  // A bundle's manifest, whose blobs have been received. Signed with one of local.bundle_keys where there
  // are any; else `signature` may be empty.
  void import_bundle(const std::string& manifest, const std::string& signature, bool replace,
                     LocalStore::Reply<std::uint64_t> done);
  // Writes the firmware into a store that takes it, under `key` or one that the store makes. Fetched first
  // if need be. Any thread; `done` once.
  void publish(const Entry& entry, const std::string& store, std::string key,
               std::function<void(Result<Published>)> done);
  // Pins and unpins durably; the blob need not be cached.
  void pin(const Digest& digest, std::string reason, std::function<void(Result<void>)> done);
  void unpin(const Digest& digest, std::function<void(Result<void>)> done);

  // ---- plugin::StorageListener
  void changed(std::string_view instance, std::string_view key) override;
  bool assigned(std::string_view instance, plugin::Assignment assignment) override;
  void unassigned(std::string_view instance, std::string_view external_id) override;

  // ---- plugin::InstanceListener
  void event(std::string_view instance, plugin::Severity severity, std::string_view kind,
             std::string_view subject, std::string_view message) override;
  void state_changed(std::string_view instance, plugin::InstanceState state,
                     std::string_view reason) override;
  std::int64_t now_ms(bool& synchronised) override;

 private:
  Result<void> open_cache();
  void start_store(const config::Store& store, std::int64_t id);
  void stop_stores(const std::vector<std::string>& names);
  void start_transport(const config::Transport& transport);
  void stop_transports(const std::vector<std::string>& names, std::chrono::milliseconds drain);
  std::map<std::string, std::int64_t> write_stores();
  void catalog_changed();
  std::vector<std::shared_ptr<plugin::TransportInstance>> running_transports() const;
  void maintain();  // the maintenance thread
  cache::Limits limits() const;

  state::Database& db_;
  mutable std::mutex config_mutex_;
  config::Config config_;     // under config_mutex_
  std::string reload_error_;  // under config_mutex_
  const std::int64_t started_ms_;
  const std::int64_t started_steady_ms_;
  std::atomic<std::int64_t> time_floor_ms_{0};
  std::atomic<std::uint64_t> cache_max_size_{0};  // config_.cache.max_size for other threads

  EventLog events_;
  Journal journal_;
  Webhooks webhooks_;
  Credentials credentials_;
  Catalog catalog_;
  std::unique_ptr<cache::Cache> cache_;
  std::unique_ptr<Opener> opener_;
  std::unique_ptr<LocalStore> local_;
  std::unique_ptr<Relay> relay_;
  std::unique_ptr<FleetLinks> fleet_links_;
  std::unique_ptr<Fleet> fleet_;
  std::atomic<Fleet*> told_fleet_{nullptr};  // fleet_ for other threads, once it is there
  std::unique_ptr<Services> services_;
  std::unique_ptr<plugin::Registry> registry_;

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<StoreRunner>, std::less<>> stores_;                    // under mutex_
  std::map<std::string, std::shared_ptr<plugin::TransportInstance>, std::less<>> transports_;  // under mutex_

  std::mutex maintain_mutex_;
  std::condition_variable maintain_wake_;
  bool stopping_ = false;  // under maintain_mutex_
  std::thread maintenance_;
  bool stopped_ = false;  // control thread only
};

}  // namespace otagate::gateway
