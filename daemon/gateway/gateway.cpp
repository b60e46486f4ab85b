#include "gateway/gateway.hpp"

#include <unistd.h>

#include <algorithm>
#include <future>

#include "config/options.hpp"
#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/option_source.hpp"
#include "state/blobs.hpp"
#include "state/fills.hpp"
#include "state/settings.hpp"
#include "state/stores.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

constexpr std::string_view kOperator = "operator";
constexpr std::chrono::milliseconds kStoreCloseGrace{5'000};
constexpr std::chrono::milliseconds kTransportStart{10'000};
constexpr std::chrono::milliseconds kReadyPatience{200};
constexpr std::chrono::minutes kMaintenance{10};
constexpr std::uint64_t kMaxVersionRows = 1'000'000;

config::OptionsOwner owner_of(std::string_view kind, const std::string& name, const std::string& plugin,
                              const config::Location& where) {
  return {kind, name, plugin, &where};
}

}  // namespace

Gateway::Gateway(state::Database& db, config::Config config)
    : db_(db),
      config_(std::move(config)),
      started_ms_(wall_ms()),
      started_steady_ms_(steady_ms()),
      events_(db),
      journal_(db, events_, [this] { catalog_changed(); }),
      catalog_(db) {}

Gateway::~Gateway() { stop(); }

cache::Limits Gateway::limits() const {
  const config::Cache& from = config_.cache;
  cache::Limits limits;
  limits.max_size = from.max_size;
  limits.free_floor_bytes = from.min_free;
  limits.free_floor_percent = static_cast<std::uint32_t>(from.min_free_percent);
  limits.ttl = std::chrono::duration_cast<std::chrono::seconds>(from.ttl);
  limits.scrub_bytes_per_second = from.scrub_interval.count() == 0 ? 0 : from.scrub_rate;
  limits.scrub_interval = std::chrono::duration_cast<std::chrono::seconds>(from.scrub_interval);
  limits.max_active_fills = from.fills;
  return limits;
}

Result<void> Gateway::open_cache() {
  cache_max_size_ = config_.cache.max_size;
  auto known = Journal::known_blobs(db_);
  if (!known) return fail(std::move(known).error());
  cache::Cache::Options options;
  options.root = config_.cache.dir;
  options.limits = limits();
  options.known = *known;
  auto opened = cache::Cache::create(std::move(options), {&journal_, &journal_, &journal_});
  if (!opened) return fail(std::move(opened).error());
  cache_ = std::move(*opened);
  for (const cache::BlobRecord& blob : *known) {
    auto pins = db_.read_sync([&](state::Reader& db) { return state::pins_of(db, blob.digest); });
    if (!pins) return fail(std::move(pins).error());
    for (const state::Pin& pin : *pins) cache_->pin(blob.digest, pin.owner);
  }
  return {};
}

Result<void> Gateway::start() {
  const auto floor = db_.read_sync([](state::Reader& db) { return state::time_floor(db); });
  if (floor) time_floor_ms_ = *floor;
  events_.set_limits({static_cast<std::int64_t>(config_.events.max_count), config_.events.max_age.count()});
  credentials_.replace(config_.credentials);
  // Fills of the last run go on when they are asked for; the cache finds their files.
  const auto cleared = db_.write_sync([](state::Writer& db) -> Result<void> {
    auto fills = state::open_fills(db);
    if (!fills) return fail(std::move(fills).error());
    for (const state::Fill& fill : *fills) {
      if (auto ended = state::end_fill(db, fill.id); !ended) return ended;
    }
    return {};
  });
  if (!cleared) return fail(cleared.error());
  if (auto opened = open_cache(); !opened) return fail(std::move(opened).error().with_context("cache"));

  opener_ = std::make_unique<Opener>(db_, *cache_, journal_);
  services_ = std::make_unique<Services>(catalog_, *opener_, credentials_, *cache_);
  plugin::Registry::Settings settings;
  settings.folders = config_.daemon.plugin_dirs;
  // A daemon that is not root's cannot be fooled by its own user any further than it is already.
  settings.trust_own_user = ::geteuid() != 0;
  registry_ = std::make_unique<plugin::Registry>(std::move(settings), *this);
  registry_->scan();

  const auto ids = write_stores();
  for (const config::Store& store : config_.stores) {
    const auto id = ids.find(store.name);
    if (store.enabled && id != ids.end()) start_store(store, id->second);
  }
  for (const config::Transport& transport : config_.transports) {
    if (transport.enabled) start_transport(transport);
  }
  cache_->reconcile([](Result<void> done) {
    if (!done) log("gateway").warn("reconciling the cache with the database: {}", done.error().message());
  });
  maintenance_ = std::thread([this] { maintain(); });
  return {};
}

std::map<std::string, std::int64_t> Gateway::write_stores() {
  std::vector<state::StoreConfig> rows;
  for (const config::Store& store : config_.stores) {
    if (store.enabled) rows.push_back({store.name, store.plugin, store.priority});
  }
  std::map<std::string, std::int64_t> ids;
  auto written = db_.write_sync([&](state::Writer& db) { return state::set_stores(db, rows); });
  if (!written) {
    log("gateway").error("writing the stores to the database: {}", written.error().message());
    return ids;
  }
  for (const state::Store& store : *written) ids[store.name] = store.id;
  return ids;
}

void Gateway::start_store(const config::Store& store, std::int64_t id) {
  journal_.set_store(store.name, id);
  plugin::InstanceSpec spec{store.name, store.plugin, nullptr};
  const auto refuse = [&](std::string reason) {
    log("gateway").error("store {}: {}", store.name, reason);
    registry_->refuse(spec, plugin::Kind::store, std::move(reason));
  };
  auto schema = registry_->options_schema(store.plugin, plugin::Kind::store);
  if (!schema) return refuse(schema.error().message());
  auto resolved = config::resolve_options(store.options, *schema,
                                          owner_of("store", store.name, store.plugin, store.where));
  if (!resolved.problems.empty()) return refuse(config::to_string(resolved.problems));
  for (const config::Problem& warning : resolved.warnings) log("gateway").warn("{}", warning.to_string());
  spec.options = make_option_source(std::move(resolved.options));
  auto instance = registry_->create_store(spec, *this);
  if (!instance) {
    log("gateway").error("store {}: {}", store.name, instance.error().message());
    return;
  }

  auto client = std::make_shared<StoreClient>(store.name, *instance, store.timeout);
  cache_->set_rate_limit(store.name, store.bandwidth);
  opener_->set_store(store, id, client);
  const bool redirect = store.redirect && client->caps().has(OTAGATE_STORE_PRESIGN);
  services_->set_redirect(store.name, redirect ? client : nullptr, store.expiry);
  StoreRunner::Context context{db_,
                               events_,
                               journal_,
                               [this] { catalog_changed(); },
                               [this](std::int64_t firmware, std::function<void(bool)> done) {
                                 catalog_.get(firmware, [this, done = std::move(done)](Result<Entry> entry) {
                                   if (!entry) return done(false);
                                   OpenOptions options;
                                   options.prefetch = true;
                                   opener_->open(
                                       *entry, std::move(options),
                                       [done](Result<cache::ReaderPtr> reader) { done(reader.has_value()); });
                                 });
                               },
                               [this](std::uint64_t size) {
                                 const std::uint64_t most = cache_max_size_.load(std::memory_order_relaxed);
                                 return most == 0 || cache_->stats().blob_bytes + size <= most;
                               }};
  auto runner = std::make_shared<StoreRunner>(std::move(context), id, store, std::move(client));
  runner->start();
  const std::scoped_lock lock(mutex_);
  stores_[store.name] = std::move(runner);
}

void Gateway::stop_store(const std::string& name) {
  std::shared_ptr<StoreRunner> runner;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = stores_.find(name);
    if (found != stores_.end()) {
      runner = std::move(found->second);
      stores_.erase(found);
    }
  }
  opener_->remove_store(name);
  services_->set_redirect(name, nullptr, {});
  if (runner) {
    runner->stop();
    std::promise<void> closed;
    runner->client()->instance().close(kStoreCloseGrace, [&] { closed.set_value(); });
    closed.get_future().wait();
  }
  registry_->remove(name, plugin::Kind::store);
}

void Gateway::start_transport(const config::Transport& transport) {
  plugin::InstanceSpec spec{transport.name, transport.plugin, nullptr};
  const auto refuse = [&](std::string reason) {
    log("gateway").error("transport {}: {}", transport.name, reason);
    registry_->refuse(spec, plugin::Kind::transport, std::move(reason));
  };
  auto schema = registry_->options_schema(transport.plugin, plugin::Kind::transport);
  if (!schema) return refuse(schema.error().message());
  auto resolved = config::resolve_options(
      transport.options, *schema, owner_of("transport", transport.name, transport.plugin, transport.where));
  if (!resolved.problems.empty()) return refuse(config::to_string(resolved.problems));
  for (const config::Problem& warning : resolved.warnings) log("gateway").warn("{}", warning.to_string());
  spec.options = make_option_source(std::move(resolved.options));
  auto instance = registry_->create_transport(spec, *services_);
  if (!instance) {
    log("gateway").error("transport {}: {}", transport.name, instance.error().message());
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    transports_[transport.name] = *instance;
  }
  auto listening = std::make_shared<std::promise<void>>();
  auto soon = listening->get_future();
  (*instance)->start(kTransportStart, [name = transport.name, listening](Result<void> started) {
    if (!started) log("gateway").error("transport {}: {}", name, started.error().message());
    listening->set_value();
  });
  // Whoever is told that we are ready may connect at once. A transport that takes its time is not
  // waited for: one that cannot bind says so and goes on by itself.
  soon.wait_for(kReadyPatience);
}

void Gateway::stop_transports(const std::vector<std::string>& names, std::chrono::milliseconds drain) {
  // All at once: the longest drain counts, not the sum.
  std::vector<std::future<void>> closed;
  for (const std::string& name : names) {
    std::shared_ptr<plugin::TransportInstance> instance;
    {
      const std::scoped_lock lock(mutex_);
      const auto found = transports_.find(name);
      if (found == transports_.end()) continue;
      instance = std::move(found->second);
      transports_.erase(found);
    }
    auto done = std::make_shared<std::promise<void>>();
    closed.push_back(done->get_future());
    // The callback keeps the instance until it is closed.
    instance->close(drain, [done, instance] { done->set_value(); });
  }
  for (std::future<void>& one : closed) one.wait();
  for (const std::string& name : names) registry_->remove(name, plugin::Kind::transport);
}

std::vector<std::string> Gateway::reload(config::Config config) {
  const config::Diff diff = config::diff(config_, config);
  {
    const std::scoped_lock lock(config_mutex_);
    config_ = std::move(config);
    reload_error_.clear();
  }
  cache_max_size_ = config_.cache.max_size;
  cache_->set_limits(limits());
  events_.set_limits({static_cast<std::int64_t>(config_.events.max_count), config_.events.max_age.count()});
  if (diff.credentials_changed) credentials_.replace(config_.credentials);
  registry_->scan();

  std::vector<std::string> gone = diff.transports.removed;
  gone.insert(gone.end(), diff.transports.changed.begin(), diff.transports.changed.end());
  stop_transports(gone, config_.daemon.drain_timeout);
  for (const std::string& name : diff.stores.removed) stop_store(name);
  for (const std::string& name : diff.stores.changed) stop_store(name);

  const auto ids = write_stores();
  const auto start = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto id = ids.find(name);
      if (const config::Store* store = config_.find_store(name); store != nullptr && id != ids.end())
        start_store(*store, id->second);
    }
  };
  start(diff.stores.added);
  start(diff.stores.changed);
  for (const auto* names : {&diff.transports.added, &diff.transports.changed}) {
    for (const std::string& name : *names) {
      if (const config::Transport* transport = config_.find_transport(name)) start_transport(*transport);
    }
  }
  std::vector<std::shared_ptr<plugin::TransportInstance>> unchanged;
  {
    const std::scoped_lock lock(mutex_);
    for (const std::string& name : diff.transports.unchanged) {
      if (const auto found = transports_.find(name); found != transports_.end())
        unchanged.push_back(found->second);
    }
  }
  for (const auto& transport : unchanged) {
    // Certificates and keys may be new although the configuration that names them is not.
    transport->reload(kTransportStart, [](Result<void>) {});
    if (diff.credentials_changed) transport->credentials_changed();
  }
  catalog_changed();
  return diff.restart;
}

void Gateway::reload_failed(std::string reason) {
  const std::scoped_lock lock(config_mutex_);
  reload_error_ = std::move(reason);
}

void Gateway::stop() {
  if (stopped_) return;
  stopped_ = true;
  {
    const std::scoped_lock lock(maintain_mutex_);
    stopping_ = true;
  }
  maintain_wake_.notify_all();
  if (maintenance_.joinable()) maintenance_.join();
  if (!cache_) return;  // start() did not get that far

  std::vector<std::string> transports;
  std::vector<std::string> stores;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [name, instance] : transports_) transports.push_back(name);
    for (const auto& [name, runner] : stores_) stores.push_back(name);
  }
  stop_transports(transports, config_.daemon.drain_timeout);
  // Fills first: their sources are the stores.
  cache_->stop();
  for (const std::string& name : stores) stop_store(name);
  registry_.reset();
}

void Gateway::catalog_changed() {
  std::vector<std::shared_ptr<plugin::TransportInstance>> transports;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [name, instance] : transports_) transports.push_back(instance);
  }
  for (const auto& instance : transports) instance->catalog_changed();
}

void Gateway::maintain() {
  std::unique_lock lock(maintain_mutex_);
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> booked;  // requests, bytes already written
  while (!stopping_) {
    lock.unlock();
    if (clock_synchronised()) {
      const std::int64_t now = wall_ms();
      time_floor_ms_ = std::max(time_floor_ms_.load(), now);
      db_.write([now](state::Writer& db) { return state::raise_time_floor(db, now); });
    }
    events_.prune();
    db_.write([](state::Writer& db) -> Result<void> {
      const auto pruned = state::prune_versions(db, kMaxVersionRows);
      if (!pruned) return fail(pruned.error());
      return {};
    });
    for (const StoreView& view : stores()) {
      auto& [requests, bytes] = booked[view.config.name];
      if (view.status.requests < requests) requests = bytes = 0;  // the store was started anew
      const std::uint64_t more = view.status.requests - requests;
      const std::uint64_t more_bytes = view.status.body_bytes - bytes;
      if (more == 0 && more_bytes == 0) continue;
      requests = view.status.requests;
      bytes = view.status.body_bytes;
      db_.write([name = view.config.name, more, more_bytes](state::Writer& db) -> Result<void> {
        const auto store = state::find_store(db, name);
        if (!store) return fail(store.error());
        return *store ? state::add_store_traffic(db, (*store)->id, more, more_bytes) : Result<void>();
      });
    }
    lock.lock();
    maintain_wake_.wait_for(lock, kMaintenance, [&] { return stopping_; });
  }
}

// ------------------------------------------------------------------ queries

Status Gateway::status() const {
  Status status;
  status.started_ms = started_ms_;
  status.uptime_ms = steady_ms() - started_steady_ms_;
  status.clock_synchronised = clock_synchronised();
  {
    const std::scoped_lock lock(config_mutex_);
    if (!config_.files.empty()) status.config_file = config_.files.front();
    status.reload_error = reload_error_;
  }
  if (!status.reload_error.empty())
    status.problems.push_back("the last reload was refused: " + status.reload_error);
  if (db_.stats().corrupt)
    status.problems.emplace_back("the state database is damaged: run `otagate state check`");
  for (const plugin::InstanceStatus& instance : instances()) {
    if (instance.state == plugin::InstanceState::running || instance.state == plugin::InstanceState::stopped)
      continue;
    status.problems.push_back(instance.name + " (" + instance.plugin + ") is " +
                              std::string(plugin::to_string(instance.state)) +
                              (instance.reason.empty() ? "" : ": " + instance.reason));
  }
  for (const StoreView& store : stores()) {
    if (!store.status.last_error.empty())
      status.problems.push_back("store " + store.config.name +
                                " could not be listed: " + store.status.last_error);
  }
  if (events_.lost() > 0)
    status.problems.push_back(std::to_string(events_.lost()) + " events could not be recorded");
  status.health = status.problems.empty() ? Health::ok : Health::degraded;
  return status;
}

std::vector<plugin::PluginInfo> Gateway::plugins() const { return registry_->plugins(); }

std::vector<plugin::InstanceStatus> Gateway::instances() const { return registry_->instances(); }

std::vector<StoreView> Gateway::stores() const {
  std::vector<StoreView> views;
  const config::Config config = this->config();
  const auto instances = registry_->instances();
  for (const config::Store& store : config.stores) {
    StoreView& view = views.emplace_back();
    view.config = store;
    view.state = plugin::InstanceState::stopped;
    for (const plugin::InstanceStatus& instance : instances) {
      if (instance.name != store.name || instance.interface != OTAGATE_STORAGE_1) continue;
      view.state = instance.state;
      view.reason = instance.reason;
    }
    const std::scoped_lock lock(mutex_);
    if (const auto found = stores_.find(store.name); found != stores_.end())
      view.status = found->second->status();
  }
  return views;
}

config::Config Gateway::config() const {
  const std::scoped_lock lock(config_mutex_);
  return config_;
}

void Gateway::sync_store(const std::string& name, std::function<void(Result<void>)> done) {
  std::shared_ptr<StoreRunner> runner;
  std::string names;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, value] : stores_) {
      if (key == name) runner = value;
      names += (names.empty() ? "" : ", ") + key;
    }
  }
  if (!runner) {
    done(fail(Code::not_found,
              "no store " + name + " is running; there are: " + (names.empty() ? "none" : names)));
    return;
  }
  runner->sync_now(std::move(done));
}

void Gateway::fetch(const Entry& entry, std::function<void(Result<Fetched>)> done) {
  OpenOptions options;
  options.refetch_rejected = true;
  opener_->open(entry, std::move(options), [entry, done = std::move(done)](Result<cache::ReaderPtr> reader) {
    if (!reader) {
      done(fail(std::move(reader).error()));
      return;
    }
    const auto digest = (*reader)->digest();
    if (!digest) {
      done(fail(Code::internal, "the blob has no digest although it is verified"));
      return;
    }
    done(Fetched{entry, *digest, (*reader)->size().value_or(0)});
  });
}

void Gateway::pin(const Digest& digest, std::string reason, std::function<void(Result<void>)> done) {
  state::Pin pin{digest, std::string(kOperator), std::move(reason), wall_ms()};
  db_.write([pin = std::move(pin)](state::Writer& db) { return state::put_pin(db, pin); },
            [this, digest, done = std::move(done)](Result<void> outcome) {
              if (outcome) cache_->pin(digest, kOperator);
              done(std::move(outcome));
            });
}

void Gateway::unpin(const Digest& digest, std::function<void(Result<void>)> done) {
  db_.write(
      [digest](state::Writer& db) -> Result<void> {
        const auto deleted = state::delete_pin(db, digest, kOperator);
        if (!deleted) return fail(deleted.error());
        return *deleted ? Result<void>() : fail(Code::not_found, "that blob is not pinned by the operator");
      },
      [this, digest, done = std::move(done)](Result<void> outcome) {
        if (outcome) cache_->unpin(digest, kOperator);
        done(std::move(outcome));
      });
}

// ------------------------------------------------------------------ what plugins say

void Gateway::changed(std::string_view instance, std::string_view) {
  std::shared_ptr<StoreRunner> runner;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = stores_.find(instance);
    if (found != stores_.end()) runner = found->second;
  }
  if (runner) runner->changed();
}

bool Gateway::assigned(std::string_view instance, plugin::Assignment assignment) {
  log("gateway").warn("store {} assigned {} to {}: deployments are not available yet, so it was not taken",
                      instance, assignment.external_id, assignment.device);
  return false;
}

void Gateway::unassigned(std::string_view, std::string_view) {}

void Gateway::event(std::string_view instance, plugin::Severity severity, std::string_view kind,
                    std::string_view subject, std::string_view message) {
  state::Event event;
  event.kind = kind;
  event.severity = severity == plugin::Severity::error  ? state::Severity::error
                   : severity == plugin::Severity::warn ? state::Severity::warning
                                                        : state::Severity::info;
  event.instance = std::string(instance);
  event.message = subject.empty() ? std::string(message) : std::string(subject) + ": " + std::string(message);
  events_.add(std::move(event));
}

void Gateway::state_changed(std::string_view instance, plugin::InstanceState state, std::string_view reason) {
  const bool good = state == plugin::InstanceState::running || state == plugin::InstanceState::stopped;
  events_.add("instance_" + std::string(plugin::to_string(state)),
              good ? state::Severity::info : state::Severity::warning, instance,
              reason.empty() ? std::string(plugin::to_string(state)) : std::string(reason));
}

std::int64_t Gateway::now_ms(bool& synchronised) {
  synchronised = clock_synchronised();
  return std::max(wall_ms(), time_floor_ms_.load(std::memory_order_relaxed));
}

}  // namespace otagate::gateway
