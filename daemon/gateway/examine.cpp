#include "gateway/examine.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "firmware/metadata.hpp"
#include "state/objects.hpp"

namespace otagate::gateway {

namespace {

constexpr std::size_t kLookups = 8;    // objects looked at side by side: a store's answer takes a round trip
constexpr std::size_t kPerThread = 4;  // objects that are worth a thread

struct Prepared {
  state::Object object;
  // The sidecars there are of those that may describe it, with their change tokens.
  std::vector<std::pair<std::string, std::string>> sidecars{};
};

// Something an operator would want to see of an object that is not firmware: sidecars and index files
// are not worth an event.
bool worth_an_event(const state::Object& object) { return !firmware::is_sidecar_key(object.key); }

// All that the database has to say about the batch, in as few reads as possible.
Result<std::vector<Prepared>> prepare(const StoreScope& scope, PagedRead& reads,
                                      const std::vector<std::int64_t>& ids) {
  std::vector<std::optional<Prepared>> found(ids.size());
  auto read = reads.all(ids.size(), [&](state::Reader& db, std::size_t from, std::size_t to) -> Result<void> {
    for (std::size_t i = from; i < to; ++i) {
      found[i].reset();
      auto object = state::get_object(db, ids[i]);
      if (!object) return fail(std::move(object).error());
      if (!*object) continue;
      Prepared prepared{std::move(**object)};
      for (std::string& key : firmware::sidecar_keys_for(prepared.object.key)) {
        auto sidecar = state::find_object(db, scope.store, key);
        if (!sidecar) return fail(std::move(sidecar).error());
        if (*sidecar) prepared.sidecars.emplace_back(std::move(key), std::move((*sidecar)->change_token));
      }
      found[i] = std::move(prepared);
    }
    return {};
  });
  if (!read) return fail(std::move(read).error());
  std::vector<Prepared> batch;
  batch.reserve(found.size());
  for (std::optional<Prepared>& one : found) {
    if (one) batch.push_back(std::move(*one));
  }
  return batch;
}

// Borrows both.
Lookups lookups_for(const StoreScope& scope, const Prepared& prepared) {
  Lookups lookups;
  lookups.sidecar = [&](const std::string& key) -> Result<std::optional<std::string>> {
    for (const auto& [known, change_token] : prepared.sidecars) {
      if (known != key) continue;
      auto text = scope.client.read(key, change_token, 0, firmware::kMaxSidecar, true);
      if (!text) return fail(std::move(text).error());
      return std::move(*text);
    }
    return std::nullopt;
  };
  lookups.stat = [&](const std::string& key) -> Result<Pairs> {
    auto object = scope.client.stat(key);
    if (!object) return fail(std::move(object).error());
    return std::move(object->metadata);
  };
  lookups.head = [&](const state::Object& object) {
    return scope.client.read(object.key, object.change_token, 0, firmware::kProbeBytes, false);
  };
  return lookups;
}

// Fills in what was found out. False: look again at the next sync; an error: the store is at fault.
Result<bool> judge(const StoreScope& scope, Examined& examined, Interpreted found) {
  if (found.merged) {
    examined.object.skipped.reset();
    examined.firmware = to_firmware(examined.object, *found.merged, found.format);
    return true;
  }
  switch (found.merged.error().code()) {
    case Code::rejected:
    case Code::invalid:
    case Code::denied:
    case Code::permanent: break;
    case Code::changed:
    case Code::not_found: return false;  // it moved under us: pending until the next listing sees what it is
    default: return fail(std::move(found.merged).error());
  }
  const bool news = examined.object.skipped != found.merged.error().message();
  examined.object.skipped = found.merged.error().message();
  if (news && worth_an_event(examined.object)) {
    state::Event event;
    event.kind = "skipped";
    event.severity = state::Severity::notice;
    event.instance = scope.config.name;
    event.message = examined.object.key + ": " + *examined.object.skipped;
    examined.events.push_back(std::move(event));
  }
  return true;
}

}  // namespace

Examination examine_objects(const StoreScope& scope, PagedRead& reads, const std::vector<std::int64_t>& ids) {
  Examination result;
  auto batch = prepare(scope, reads, ids);
  if (!batch) {
    result.outcome = fail(std::move(batch).error());
    return result;
  }
  const bool stats = (scope.client.caps().flags & OTAGATE_STORE_STAT) != 0;
  std::vector<std::optional<Examined>> examined(batch->size());
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> give_up = false;
  std::mutex mutex;  // of result.outcome
  const auto give_up_with = [&](const Error& error) {
    const std::scoped_lock lock(mutex);
    if (result.outcome) result.outcome = fail(error);
    give_up = true;
  };
  const auto work = [&] {
    for (std::size_t i = next++; i < batch->size() && !give_up; i = next++) {
      if (scope.stopping()) return give_up_with(Error(Code::cancelled, "stopping"));
      Prepared& one = (*batch)[i];
      Examined object{std::move(one.object), std::nullopt, {}};
      Interpreted found = scope.interpreter.interpret(
          object.object, stats && (object.object.flags & OTAGATE_OBJECT_STAT) != 0, scope.known.indexes,
          lookups_for(scope, one));
      const auto judged = judge(scope, object, std::move(found));
      if (!judged) return give_up_with(judged.error());
      if (*judged) examined[i] = std::move(object);
    }
  };
  // Threads come and go with the batch: most of the time a store has nothing new.
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < std::min(kLookups, batch->size() / kPerThread); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();

  for (std::optional<Examined>& one : examined) {
    if (one) result.done.push_back(std::move(*one));
  }
  return result;
}

}  // namespace otagate::gateway
