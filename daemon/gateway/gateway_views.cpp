// What the gateway says of itself and does for an operator.
#include "core/clock.hpp"
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

}  // namespace otagate::gateway
