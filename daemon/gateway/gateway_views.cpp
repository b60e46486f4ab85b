// What the gateway says of itself and does for an operator.
#include "core/clock.hpp"
#include "core/minisign.hpp"
#include "gateway/gateway.hpp"
#include "state/blobs.hpp"

namespace otagate::gateway {

namespace {
constexpr std::string_view kOperator = "operator";
}  // namespace

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
    if (relay_) view.assignments = relay_->status(store.name);
    const std::scoped_lock lock(mutex_);
    if (const auto found = stores_.find(store.name); found != stores_.end())
      view.status = found->second->status();
  }
  if (local_ && local_->objects() > 0) {
    StoreView& view = views.emplace_back();
    view.config.name = kLocalStore;
    view.config.plugin = kBuiltIn;
    view.config.priority = config.local.priority;
    view.state = plugin::InstanceState::running;
    view.status.phase = "idle";
    view.status.objects = local_->objects();
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
  if (!runner && name == kLocalStore) {
    done({});  // nothing to list: what is in it was brought
    return;
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

void Gateway::open_blob(const Digest& digest, const std::function<void(Result<cache::ReaderPtr>)>& done) {
  cache::OpenRequest request;
  request.key.expected = digest;
  request.digest = digest;
  request.streaming = false;
  cache_->open(std::move(request), done);
}

void Gateway::import_bundle(const std::string& manifest, const std::string& signature, bool replace,
                            LocalStore::Reply<std::uint64_t> done) {
  std::vector<MinisignKey> keys;
  for (const std::string& text : config().local.bundle_keys) {
    if (const auto key = MinisignKey::parse(text)) keys.push_back(*key);
  }
  if (!keys.empty()) {
    if (signature.empty()) {
      done(fail(Code::denied, "the bundle is not signed, and local.bundle_keys asks for a signature"));
      return;
    }
    if (const auto signed_by = verify_minisign(keys, manifest, signature); !signed_by) {
      done(fail(Error(signed_by.error()).with_context("the bundle's signature")));
      return;
    }
  }
  auto list = firmware::parse_bundle_manifest(manifest);
  if (!list) {
    done(fail(std::move(list).error()));
    return;
  }
  list->replace = replace;
  local_->add(std::move(*list), std::move(done));
}

void Gateway::publish(const Entry& entry, const std::string& store, std::string key,
                      std::function<void(Result<Published>)> done) {
  std::shared_ptr<StoreRunner> runner;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = stores_.find(store); found != stores_.end()) runner = found->second;
  }
  if (!runner) return done(fail(Code::not_found, "no store " + store + " is running"));
  if (!runner->client()->caps().has(OTAGATE_STORE_PUBLISH)) {
    return done(
        fail(Code::unsupported, "store " + store + " (" + runner->config().plugin +
                                    ") takes no firmware; where its plugin can, set publish = true in "
                                    "its options"));
  }
  OpenOptions options;
  options.refetch_rejected = true;
  opener_->open(
      entry, std::move(options),
      [entry, store, runner, key = std::move(key), done = std::move(done)](Result<cache::ReaderPtr> reader) {
        if (!reader) return done(fail(std::move(reader).error()));
        const auto digest = (*reader)->digest();
        if (!digest) return done(fail(Code::internal, "the blob has no digest although it is verified"));
        const state::Firmware& row = entry.firmware;
        plugin::PublishRequest request;
        request.fd = (*reader)->fd();
        request.size = (*reader)->size().value_or(0);
        request.sha256 = digest->hex();
        request.key = key;
        request.metadata = {{"name", row.name}, {"version", row.version}, {"sha256", request.sha256}};
        if (!row.type.empty()) request.metadata.emplace_back("type", row.type);
        if (row.kind != "firmware") request.metadata.emplace_back("kind", row.kind);
        if (row.dependency) request.metadata.emplace_back("dependency", *row.dependency);
        // The reader keeps the descriptor, and the blob in the cache.
        runner->client()->publish(
            std::move(request), [store, runner, done, reader = *reader](Result<plugin::Object> object) {
              if (!object) return done(fail(std::move(object).error().with_context("store " + store)));
              runner->sync_now();
              done(Published{store, object->key, object->change_token});
            });
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

}  // namespace otagate::gateway
