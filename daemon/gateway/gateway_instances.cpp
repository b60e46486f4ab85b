// The gateway's stores and transports: from a section of the configuration to a running instance and back.
#include <algorithm>
#include <future>

#include "config/options.hpp"
#include "core/log.hpp"
#include "gateway/gateway.hpp"
#include "gateway/option_source.hpp"

namespace otagate::gateway {

namespace {

constexpr std::chrono::milliseconds kStoreCloseGrace{5'000};
constexpr std::chrono::milliseconds kTransportStart{10'000};
constexpr std::chrono::milliseconds kReadyPatience{200};

config::OptionsOwner owner_of(std::string_view kind, const std::string& name, const std::string& plugin,
                              const Location& where) {
  return {kind, name, plugin, &where};
}

}  // namespace

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
  if (!resolved.problems.empty()) return refuse(to_string(resolved.problems));
  for (const Problem& warning : resolved.warnings) log("gateway").warn("{}", warning.to_string());
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
  StoreRunner::Context context{
      db_,
      events_,
      journal_,
      [this] { catalog_changed(); },
      [this](std::int64_t firmware, std::function<void(bool)> done) {
        catalog_.get(firmware, [this, done = std::move(done)](Result<Entry> entry) {
          if (!entry) return done(false);
          OpenOptions options;
          options.prefetch = true;
          opener_->open(*entry, std::move(options),
                        [done](const Result<cache::ReaderPtr>& reader) { done(reader.has_value()); });
        });
      },
      [this](std::uint64_t size) {
        const std::uint64_t most = cache_max_size_.load(std::memory_order_relaxed);
        return most == 0 || cache_->stats().blob_bytes + size <= most;
      }};
  if (store.assignments.enabled && client->caps().has(OTAGATE_STORE_ASSIGNMENTS)) {
    relay_->add_store(store, client);
    fleet_->set_assigner(store.name, store.assignments);
  } else {
    fleet_->remove_assigner(store.name);
  }
  auto runner = std::make_shared<StoreRunner>(std::move(context), id, store, std::move(client));
  runner->start();
  const std::scoped_lock lock(mutex_);
  stores_[store.name] = std::move(runner);
}

void Gateway::stop_stores(const std::vector<std::string>& names) {
  // All at once, as for transports. Closing the instance ends what its runner waits for.
  std::vector<std::pair<std::shared_ptr<StoreRunner>, std::future<void>>> closing;
  for (const std::string& name : names) {
    std::shared_ptr<StoreRunner> runner;
    {
      const std::scoped_lock lock(mutex_);
      const auto found = stores_.find(name);
      if (found != stores_.end()) {
        runner = std::move(found->second);
        stores_.erase(found);
      }
    }
    relay_->remove_store(name);
    opener_->remove_store(name);
    services_->set_redirect(name, nullptr, {});
    if (!runner) continue;
    runner->ask_stop();
    auto done = std::make_shared<std::promise<void>>();
    auto closed = done->get_future();
    runner->client()->instance().close(kStoreCloseGrace, [done] { done->set_value(); });
    closing.emplace_back(std::move(runner), std::move(closed));
  }
  for (auto& [runner, closed] : closing) {
    runner->stop();
    closed.wait();
  }
  for (const std::string& name : names) registry_->remove(name, plugin::Kind::store);
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
  if (!resolved.problems.empty()) return refuse(to_string(resolved.problems));
  for (const Problem& warning : resolved.warnings) log("gateway").warn("{}", warning.to_string());
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

}  // namespace otagate::gateway
