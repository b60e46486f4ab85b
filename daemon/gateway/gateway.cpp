#include "gateway/gateway.hpp"

#include <unistd.h>

#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/timedate.hpp"
#include "state/blobs.hpp"
#include "state/fills.hpp"
#include "state/settings.hpp"
#include "state/stores.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

constexpr std::chrono::milliseconds kTransportReload{10'000};
constexpr std::chrono::minutes kMaintenance{10};
constexpr std::chrono::minutes kClockPoll{1};  // where others have to be asked about the clock
constexpr std::chrono::milliseconds kClockTimeout{2'000};
constexpr std::uint64_t kMaxVersionRows = 1'000'000;
// A store that is taken out of the configuration and put back finds its objects and what they were; after
// that time they go, a few at each maintenance.
constexpr std::chrono::milliseconds kKeepUnconfigured = std::chrono::hours(30 * 24);
constexpr std::size_t kPruneAtOnce = 1000;

}  // namespace

Gateway::Gateway(state::Database& db, config::Config config)
    : db_(db),
      config_(std::move(config)),
      started_ms_(wall_ms()),
      started_steady_ms_(steady_ms()),
      events_(db),
      journal_(db, events_, [this] { catalog_changed(); }),
      webhooks_(db, events_),
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
  catalog_.set_reachable([this](std::string_view store) { return opener_->reachable(store); });
  local_ = std::make_unique<LocalStore>(db_, *cache_, journal_, events_, [this] { catalog_changed(); });
  relay_ = std::make_unique<Relay>(db_, events_, [this](const std::string& store, const std::string& id) {
    if (Fleet* const fleet = told_fleet_.load()) fleet->told_that_agreed(store, id);
  });
  fleet_links_ =
      std::make_unique<FleetLinks>(*opener_, *cache_, *relay_, [this] { return running_transports(); });
  fleet_ = std::make_unique<Fleet>(db_, catalog_, credentials_, events_, *fleet_links_);
  if (auto started = fleet_->start(config_.devices); !started)
    return fail(std::move(started).error().with_context("devices"));
  told_fleet_ = fleet_.get();
  relay_->start();
  services_ = std::make_unique<Services>(catalog_, *opener_, credentials_, *cache_, *fleet_);
  plugin::Registry::Settings settings;
  settings.folders = config_.daemon.plugin_dirs;
  // A daemon that is not root's cannot be fooled by its own user any further than it is already.
  settings.trust_own_user = ::geteuid() != 0;
  registry_ = std::make_unique<plugin::Registry>(std::move(settings), *this);
  registry_->scan();

  const auto ids = write_stores();
  if (const auto local = ids.find(std::string(kLocalStore)); local != ids.end()) {
    local_->set_row(local->second);
    journal_.set_store(local->first, local->second);
    journal_.set_listed(local->first, true);
  }
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
  webhooks_.configure(config_.webhooks, config_.daemon.name);
  maintenance_ = std::thread([this] { maintain(); });
  return {};
}

std::map<std::string, std::int64_t> Gateway::write_stores() {
  std::vector<state::StoreConfig> rows;
  for (const config::Store& store : config_.stores) {
    if (store.enabled) rows.push_back({store.name, store.plugin, store.priority});
  }
  rows.push_back({std::string(kLocalStore), std::string(kBuiltIn), config_.local.priority});
  std::map<std::string, std::int64_t> ids;
  auto written = db_.write_sync([&](state::Writer& db) { return state::set_stores(db, rows); });
  if (!written) {
    log("gateway").error("writing the stores to the database: {}", written.error().message());
    return ids;
  }
  for (const state::Store& store : *written) ids[store.name] = store.id;
  return ids;
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
  fleet_->reload(config_.devices);
  webhooks_.configure(config_.webhooks, config_.daemon.name);
  registry_->scan();

  std::vector<std::string> gone = diff.transports.removed;
  gone.insert(gone.end(), diff.transports.changed.begin(), diff.transports.changed.end());
  stop_transports(gone, config_.daemon.drain_timeout);
  gone = diff.stores.removed;
  gone.insert(gone.end(), diff.stores.changed.begin(), diff.stores.changed.end());
  stop_stores(gone);
  for (const std::string& name : diff.stores.removed) {
    journal_.remove_store(name);
    fleet_->remove_assigner(name);
  }

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
    transport->reload(kTransportReload, [](const Result<void>&) {});
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
  webhooks_.stop();
  if (!cache_) return;  // start() did not get that far

  std::vector<std::string> transports;
  std::vector<std::string> stores;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [name, instance] : transports_) transports.push_back(name);
    for (const auto& [name, runner] : stores_) stores.push_back(name);
  }
  stop_transports(transports, config_.daemon.drain_timeout);
  told_fleet_ = nullptr;
  if (fleet_) fleet_->stop();
  if (relay_) relay_->stop();
  // Fills first: their sources are the stores.
  cache_->stop();
  if (local_) local_->stop();
  stop_stores(stores);
  registry_.reset();
}

std::vector<std::shared_ptr<plugin::TransportInstance>> Gateway::running_transports() const {
  std::vector<std::shared_ptr<plugin::TransportInstance>> transports;
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, instance] : transports_) transports.push_back(instance);
  return transports;
}

void Gateway::catalog_changed() {
  for (const auto& instance : running_transports()) instance->catalog_changed();
  if (Fleet* const fleet = told_fleet_.load()) fleet->catalog_changed();
}

void Gateway::maintain() {
  std::unique_lock lock(maintain_mutex_);
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> booked;  // requests, bytes already written
  std::int64_t next = 0;
  while (!stopping_) {
    // Under the unit's ProtectClock= the kernel may not be asked, and only timesyncd leaves a mark.
    const bool ask = !kernel_clock_readable();
    if (ask) {
      lock.unlock();
      report_clock_synchronised(timedate_synchronised(kClockTimeout).value_or(false));
      lock.lock();
    }
    if (steady_ms() < next) {
      maintain_wake_.wait_for(lock, kClockPoll, [&] { return stopping_; });
      continue;
    }
    next = steady_ms() + std::chrono::milliseconds(kMaintenance).count();
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
    if (clock_synchronised()) {
      db_.write([before = wall_ms() - kKeepUnconfigured.count()](state::Writer& db) -> Result<void> {
        const auto pruned = state::prune_unconfigured(db, before, kPruneAtOnce);
        if (!pruned) return fail(pruned.error());
        return {};
      });
    }
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
    maintain_wake_.wait_for(lock, ask ? kClockPoll : kMaintenance, [&] { return stopping_; });
  }
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
  Fleet* const fleet = told_fleet_.load();
  if (fleet == nullptr) return false;  // stopping: it says so again after the next start
  const std::string id = assignment.external_id;
  if (fleet->assigned(std::string(instance), std::move(assignment))) return true;
  log("gateway").error("store {} assigns more than can be taken: {} is left out", instance, id);
  return false;
}

void Gateway::unassigned(std::string_view instance, std::string_view external_id) {
  Fleet* const fleet = told_fleet_.load();
  if (fleet != nullptr && !fleet->unassigned(std::string(instance), std::string(external_id)))
    log("gateway").error("store {} cancels more than can be taken: {} is left out", instance, external_id);
}

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
