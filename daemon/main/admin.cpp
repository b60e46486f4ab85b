#include "main/admin.hpp"

#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "state/maintenance.hpp"
#include "state/objects.hpp"
#include "state/stores.hpp"

namespace otagate {

namespace {

api::FirmwareView to_view(gateway::Entry entry) {
  api::FirmwareView view;
  view.tag = std::move(entry.tag);
  view.digest = entry.digest;
  view.modified_ms = entry.modified_ms;
  view.firmware = std::move(entry.firmware);
  return view;
}

// An operator sees all.
std::shared_ptr<const gateway::Principal> everybody() {
  static const auto kEverybody = std::make_shared<const gateway::Principal>();
  return kEverybody;
}

// Runs `work` on the reader thread and hands its value to the reply.
template <class T, class Work>
void read(state::Database& db, Work work, api::Backend::Reply<T> reply) {
  auto value = std::make_shared<T>();
  db.read(
      [value, work = std::move(work)](state::Reader& reader) -> Result<void> {
        auto result = work(reader);
        if (!result) return fail(std::move(result).error());
        *value = std::move(*result);
        return {};
      },
      [value, reply = std::move(reply)](Result<void> outcome) {
        if (!outcome)
          reply(fail(std::move(outcome).error()));
        else
          reply(std::move(*value));
      });
}

}  // namespace

api::StatusView Admin::status() const {
  gateway::Status status = gateway_.status();
  api::StatusView view;
  view.ok = status.health == gateway::Health::ok;
  view.problems = std::move(status.problems);
  view.version = version_;
  view.name = gateway_.config().daemon.name;
  view.started_ms = status.started_ms;
  view.uptime_ms = status.uptime_ms;
  view.clock_synchronised = status.clock_synchronised;
  view.config_file = std::move(status.config_file);
  view.reload_error = std::move(status.reload_error);
  return view;
}

std::vector<api::StoreView> Admin::stores() const {
  std::vector<api::StoreView> views;
  for (gateway::StoreView& store : gateway_.stores()) {
    api::StoreView& view = views.emplace_back();
    view.config = std::move(store.config);
    view.state = store.state;
    view.reason = std::move(store.reason);
    view.phase = std::move(store.status.phase);
    view.last_sync_ms = store.status.last_sync_ms;
    view.last_ok_ms = store.status.last_ok_ms;
    view.last_error = std::move(store.status.last_error);
    view.objects = store.status.objects;
    view.skipped = store.status.skipped;
    view.requests = store.status.requests;
    view.body_bytes = store.status.body_bytes;
    view.errors = store.status.errors;
    view.open_for_ms = store.status.open_for_ms;
    view.next_in_ms = store.status.next_in_ms;
    if (auto& from = store.assignments)
      view.assignments = {from->watched, from->unsaid, from->outbox, std::move(from->last_error)};
  }
  return views;
}

void Admin::objects(const std::string& store, std::string after, std::size_t limit, bool only_skipped,
                    Reply<std::vector<state::Object>> reply) {
  read<std::vector<state::Object>>(
      gateway_.database(),
      [store, after = std::move(after), limit,
       only_skipped](state::Reader& db) -> Result<std::vector<state::Object>> {
        const auto row = state::find_store(db, store);
        if (!row) return fail(row.error());
        if (!*row) return fail(Code::not_found, "no store " + store);
        return state::page_objects(db, (*row)->id, after, limit, only_skipped);
      },
      std::move(reply));
}

void Admin::catalog(api::FirmwareQuery query, Reply<api::FirmwarePage> reply) {
  gateway::PageQuery page;
  page.principal = everybody();
  page.name = std::move(query.name);
  page.type = std::move(query.type);
  page.store = std::move(query.store);
  page.cursor = std::move(query.cursor);
  page.limit = query.limit;
  page.shadowed = query.shadowed;
  gateway_.catalog().page(std::move(page), [reply = std::move(reply)](Result<gateway::Page> found) {
    if (!found) {
      reply(fail(std::move(found).error()));
      return;
    }
    api::FirmwarePage answer;
    for (gateway::Entry& entry : found->items) answer.items.push_back(to_view(std::move(entry)));
    answer.next = std::move(found->next);
    reply(std::move(answer));
  });
}

void Admin::resolve(std::string name, std::string version, std::string type,
                    Reply<std::vector<api::FirmwareView>> reply) {
  gateway::ResolveQuery query;
  query.principal = everybody();
  query.name = std::move(name);
  query.version = std::move(version);
  query.type = std::move(type);
  gateway_.catalog().resolve(std::move(query),
                             [reply = std::move(reply)](Result<std::vector<gateway::Entry>> found) {
                               if (!found) {
                                 reply(fail(std::move(found).error()));
                                 return;
                               }
                               std::vector<api::FirmwareView> views;
                               for (gateway::Entry& entry : *found)
                                 views.push_back(to_view(std::move(entry)));
                               reply(std::move(views));
                             });
}

void Admin::fetch(std::int64_t firmware, Reply<cache::BlobRecord> reply) {
  gateway_.catalog().get(firmware, [this, reply = std::move(reply)](Result<gateway::Entry> entry) {
    if (!entry) {
      reply(fail(std::move(entry).error()));
      return;
    }
    gateway_.fetch(*entry, [reply](Result<gateway::Fetched> fetched) {
      if (!fetched) {
        reply(fail(std::move(fetched).error()));
        return;
      }
      cache::BlobRecord blob;
      blob.digest = fetched->digest;
      blob.size = fetched->size;
      reply(std::move(blob));
    });
  });
}

void Admin::open_blob(const Digest& digest, Reply<api::BlobBytes> reply) {
  gateway_.open_blob(digest, [reply = std::move(reply)](Result<cache::ReaderPtr> reader) {
    if (!reader) {
      reply(fail(std::move(reader).error()));
      return;
    }
    const int fd = (*reader)->fd();
    const std::uint64_t size = (*reader)->size().value_or(0);
    reply(api::BlobBytes{std::move(*reader), fd, size});
  });
}

void Admin::publish(std::int64_t firmware, std::string store, std::string key,
                    Reply<api::PublishedView> reply) {
  gateway_.catalog().get(firmware, [this, store = std::move(store), key = std::move(key),
                                    reply = std::move(reply)](Result<gateway::Entry> entry) {
    if (!entry) {
      reply(fail(std::move(entry).error()));
      return;
    }
    gateway_.publish(*entry, store, key, [reply](Result<gateway::Published> published) {
      if (!published)
        reply(fail(std::move(published).error()));
      else
        reply(api::PublishedView{published->store, published->key, published->change_token});
    });
  });
}

void Admin::events(state::EventQuery query, Reply<std::vector<state::Event>> reply) {
  read<std::vector<state::Event>>(
      gateway_.database(), [query](state::Reader& db) { return state::page_events(db, query); },
      std::move(reply));
}

api::FleetView Admin::fleet() const {
  gateway::FleetCounts counts = gateway_.fleet().counts();
  return {counts.devices, counts.check_ins, counts.written, std::move(counts.open), std::move(counts.ended)};
}

void Admin::act(std::int64_t id, api::DeploymentAction action, std::string why,
                Reply<rollout::DeploymentView> reply) {
  using Action = gateway::Fleet::Action;
  const auto to = [&] {
    switch (action) {
      case api::DeploymentAction::approve: return Action::approve;
      case api::DeploymentAction::pause: return Action::pause;
      case api::DeploymentAction::resume: return Action::resume;
      case api::DeploymentAction::abort: return Action::abort;
      case api::DeploymentAction::retry: return Action::retry;
    }
    return Action::pause;
  };
  gateway_.fleet().act(id, to(), std::move(why), reply);
}

void Admin::backup_state(Reply<std::string> reply) {
  const std::filesystem::path path = gateway_.database().path();
  const std::filesystem::path to =
      path.parent_path() / (path.stem().string() + "-backup-" + std::to_string(wall_ms()) + ".db");
  // Page by page beside the running daemon: seconds on a slow card, so not on the caller's thread.
  std::thread([path, to, reply = std::move(reply)] {
    auto done = state::backup_file(path, to);
    if (!done)
      reply(fail(std::move(done).error()));
    else
      reply(to.string());
  }).detach();
}

void Admin::restore_state(std::string from, Reply<void> reply) {
  std::thread([this, from = std::move(from), reply = std::move(reply)] {
    auto done = gateway_.database().restore(from);
    const bool restored = done.has_value();
    // The answer first: the restart takes the admin API with it.
    reply(std::move(done));
    // What the gateway holds in memory is of the old content: everything starts anew.
    if (restored) restart_();
  }).detach();
}

Result<void> Admin::set_log_level(const std::string& module, const std::string& level) {
  static const std::vector<std::string> kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  if (std::find(kLevels.begin(), kLevels.end(), level) == kLevels.end())
    return fail(Code::invalid, "level " + level + ": write trace, debug, info, warn, error or off");
  const auto to = spdlog::level::from_str(level == "warn" ? "warning" : level);
  if (module.empty())
    set_log_levels(to, {});
  else
    log(module).set_level(to);
  return {};
}

}  // namespace otagate
