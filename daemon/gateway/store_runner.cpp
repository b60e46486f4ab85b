#include "gateway/store_runner.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/store_sync.hpp"
#include "state/stores.hpp"

namespace otagate::gateway {

namespace {

constexpr std::int64_t kHintDelayMs = 100;  // hints that come together make one listing

std::int64_t jittered(std::int64_t interval_ms) {
  thread_local std::minstd_rand random{std::random_device{}()};
  // +-10 %: gateways that start together do not list together for ever.
  return interval_ms * std::uniform_int_distribution<std::int64_t>(900, 1100)(random) / 1000;
}

}  // namespace

StoreRunner::StoreRunner(Context context, std::int64_t store_id, config::Store config,
                         std::shared_ptr<StoreClient> client)
    : context_(std::move(context)),
      id_(store_id),
      config_(std::move(config)),
      client_(std::move(client)),
      local_((client_->caps().flags & OTAGATE_STORE_LOCAL) != 0),
      prefetches_(config_.prefetch.value_or(local_)),
      interpreter_(config_, local_),
      prefetcher_({context_.db, id_, context_.prefetch, context_.room, [shared = shared_] {
                     {
                       const std::scoped_lock lock(shared->mutex);
                       shared->pump = true;
                     }
                     shared->wake.notify_all();
                   }}) {
  for (const config::StoreIndex& index : config_.index) known_.indexes.all.push_back({index, {}, {}});
}

StoreRunner::~StoreRunner() { stop(); }

void StoreRunner::start() {
  thread_ = std::thread([this] { run(); });
}

void StoreRunner::ask_stop() {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stop = true;
  }
  prefetcher_.stop();
  shared_->wake.notify_all();
}

void StoreRunner::stop() {
  ask_stop();
  if (thread_.joinable()) thread_.join();
  std::vector<std::function<void(Result<void>)>> asked;
  {
    const std::scoped_lock lock(shared_->mutex);
    asked.swap(shared_->asked);
  }
  for (const auto& done : asked) done(fail(Code::cancelled, "store " + config_.name + " is stopping"));
}

bool StoreRunner::stopping() const {
  const std::scoped_lock lock(shared_->mutex);
  return shared_->stop;
}

void StoreRunner::sync_now(std::function<void(Result<void>)> done) {
  {
    const std::scoped_lock lock(shared_->mutex);
    if (!shared_->stop) {
      shared_->hint = true;
      if (done) shared_->asked.push_back(std::exchange(done, nullptr));
    }
  }
  shared_->wake.notify_all();
  if (done) done(fail(Code::cancelled, "store " + config_.name + " is stopping"));
}

void StoreRunner::changed() { sync_now(); }

StoreStatus StoreRunner::status() const {
  StoreStatus status;
  {
    const std::scoped_lock lock(shared_->mutex);
    status = shared_->status;
    status.next_in_ms = std::max<std::int64_t>(0, shared_->next_ms - steady_ms());
  }
  const Traffic& traffic = client_->traffic();
  status.requests = traffic.requests.load(std::memory_order_relaxed);
  status.body_bytes = traffic.body_bytes.load(std::memory_order_relaxed);
  status.errors = traffic.errors.load(std::memory_order_relaxed);
  status.open_for_ms = client_->circuit().closed_for(steady_ms());
  return status;
}

void StoreRunner::run() {
  std::int64_t backoff_ms = 0;
  for (;;) {
    std::vector<std::function<void(Result<void>)>> asked;
    {
      std::unique_lock lock(shared_->mutex);
      const auto due = [&] { return shared_->stop || shared_->hint || shared_->pump; };
      const auto left = std::chrono::milliseconds(std::max<std::int64_t>(0, shared_->next_ms - steady_ms()));
      shared_->wake.wait_for(lock, left, due);
      if (shared_->pump && !shared_->hint && !shared_->stop) {
        shared_->pump = false;
        lock.unlock();
        prefetcher_.pump();
        continue;
      }
      if (shared_->hint && !shared_->stop) {
        // Files are often dropped in pairs: one listing for both.
        shared_->wake.wait_for(lock, std::chrono::milliseconds(kHintDelayMs), [&] { return shared_->stop; });
      }
      if (shared_->stop) return;
      shared_->hint = false;
      asked.swap(shared_->asked);
      shared_->status.phase = "listing";
    }

    const Result<void> outcome = sync();

    const std::int64_t now = wall_ms();
    if (outcome) {
      backoff_ms = 0;
      context_.db.write([this, now](state::Writer& db) -> Result<void> {
        const auto sequence = state::finish_sync(db, id_, now);
        if (!sequence) return fail(sequence.error());
        return {};
      });
    } else if (outcome.error().code() != Code::cancelled) {
      const auto first = std::max<std::int64_t>(config_.retry.initial.count(), 100);
      const auto most = std::max<std::int64_t>(config_.retry.max.count(), first);
      backoff_ms = std::min(backoff_ms == 0 ? first : backoff_ms * 2, most);
      context_.db.write([this, now, error = outcome.error().message()](state::Writer& db) {
        return state::fail_sync(db, id_, now, error);
      });
    }
    context_.journal.set_listed(config_.name, outcome.has_value());
    bool news = false;
    {
      const std::scoped_lock lock(shared_->mutex);
      const std::string error = outcome ? "" : outcome.error().message();
      news = error != shared_->status.last_error;
      shared_->status.phase = "idle";
      shared_->status.last_sync_ms = now;
      if (outcome) shared_->status.last_ok_ms = now;
      shared_->status.last_error = error;
      client_->set_listed(static_cast<bool>(outcome));
      const auto interval = static_cast<std::int64_t>(config_.interval.count());
      shared_->next_ms =
          steady_ms() + (outcome ? jittered(interval) : std::min(jittered(backoff_ms), interval));
    }
    if (news) {
      if (outcome)
        context_.events.add("store_listed", state::Severity::info, config_.name, "listing works again");
      else if (outcome.error().code() != Code::cancelled)
        context_.events.add("store_failed", state::Severity::warning, config_.name,
                            "listing failed: " + outcome.error().message());
    }
    for (const auto& done : asked) done(outcome);
    if (outcome && prefetches_) prefetcher_.look();
  }
}

Result<void> StoreRunner::sync() {
  StoreSync sync({context_.db, context_.events, id_, config_, *client_, interpreter_, known_,
                  [this] { return stopping(); }, [this] { set_phase("examining"); }});
  Result<void> outcome = sync.run();
  if (sync.catalog_changed()) context_.catalog_changed();
  if (outcome) {
    const std::scoped_lock lock(shared_->mutex);
    shared_->status.objects = sync.objects();
    shared_->status.skipped = sync.skipped();
  }
  return outcome;
}

void StoreRunner::set_phase(std::string phase) {
  const std::scoped_lock lock(shared_->mutex);
  shared_->status.phase = std::move(phase);
}

}  // namespace otagate::gateway
