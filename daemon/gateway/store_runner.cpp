#include "gateway/store_runner.hpp"

#include <algorithm>
#include <random>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/catalog.hpp"
#include "state/blobs.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"
#include "state/stores.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

constexpr std::uint32_t kPage = 1000;
constexpr std::size_t kBatch = 200;         // objects examined in one transaction
constexpr std::uint32_t kPrefetches = 4;    // at a time and store
constexpr std::int64_t kHintDelayMs = 100;  // hints that come together make one listing
constexpr std::string_view kPending = "not examined yet";

// Something an operator would want to see of an object that is not firmware: sidecars and index files
// are not worth an event.
bool worth_an_event(const state::Object& object) { return !firmware::is_sidecar_key(object.key); }

bool same_object(const state::Object& a, const state::Object& b) {
  // The time as well: S3 keeps the ETag when only an object's metadata is written anew.
  return a.change_token == b.change_token && a.size == b.size && a.flags == b.flags && a.digest == b.digest &&
         a.metadata == b.metadata && a.modified_ms == b.modified_ms;
}

state::Event firmware_event(std::string_view kind, state::Severity severity, const std::string& store,
                            const state::Firmware& firmware, std::string message) {
  state::Event event;
  event.kind = kind;
  event.severity = severity;
  event.instance = store;
  event.firmware =
      firmware.name + "/" + firmware.version + (firmware.type.empty() ? "" : "/" + firmware.type);
  event.message = std::move(message);
  return event;
}

// An object has new bytes: from this transaction on its firmware is that of the new version, whose
// digest is not known yet. What is read before the object is examined again gets the new bytes under a
// new tag, never a mixture.
Result<void> turn_firmware(state::Writer& db, const std::string& store_name, const state::Object& object,
                           std::int64_t object_id, std::vector<state::Event>& events) {
  auto rows = state::firmware_of_object(db, object_id);
  if (!rows) return fail(std::move(rows).error());
  const state::VersionKey version{object.store, object.key, object.change_token};
  auto remembered = state::find_version(db, version);
  if (!remembered) return fail(std::move(remembered).error());
  for (state::Firmware& row : *rows) {
    const std::optional<Digest> digest =
        *remembered && (*remembered)->digest ? (*remembered)->digest : object.digest;
    if (row.blob == digest && digest) continue;  // another listing of the same bytes
    if (row.blob || (row.expected_digest && row.expected_digest != object.digest)) {
      events.push_back(firmware_event(
          "republished", state::Severity::warning, store_name, row,
          object.key + ": the same name and version now has other bytes; downloads in progress finish on "
                       "the old ones or fail"));
    }
    row.blob.reset();
    row.verified = state::Verified::none;
    row.expected_digest = object.digest;
    row.size = object.size;
    if (auto put = state::put_firmware(db, row); !put) return fail(std::move(put).error());
    if (!object.digest) {
      const std::int64_t generation = *remembered ? (*remembered)->generation : 1;
      const auto tag =
          state::settle_tag(db, version, made_tag(store_name, version.key, version.change_token, generation));
      if (!tag) return fail(tag.error());
    }
  }
  return {};
}

std::int64_t jittered(std::int64_t interval_ms) {
  thread_local std::minstd_rand random{std::random_device{}()};
  // +-10 %: gateways that start together do not list together for ever.
  return interval_ms * std::uniform_int_distribution<std::int64_t>(900, 1100)(random) / 1000;
}

}  // namespace

struct StoreRunner::Sync {
  state::SeenIds seen;
  std::vector<std::int64_t> dirty;  // ids of objects to examine
  std::set<std::string> sidecars;   // keys of sidecars that came, changed or went
  bool index_changed = false;
  bool catalog_changed = false;
};

StoreRunner::StoreRunner(Context context, std::int64_t store_id, config::Store config,
                         std::shared_ptr<StoreClient> client)
    : context_(std::move(context)),
      id_(store_id),
      config_(std::move(config)),
      client_(std::move(client)),
      local_((client_->caps().flags & OTAGATE_STORE_LOCAL) != 0),
      prefetches_(config_.prefetch.value_or(local_)),
      interpreter_(config_, local_) {
  for (const config::StoreIndex& index : config_.index) indexes_.all.push_back({index, {}, {}});
}

StoreRunner::~StoreRunner() { stop(); }

void StoreRunner::start() {
  thread_ = std::thread([this] { run(); });
}

void StoreRunner::stop() {
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stop = true;
    shared_->queue.clear();
  }
  shared_->wake.notify_all();
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
  bool late = false;
  {
    const std::scoped_lock lock(shared_->mutex);
    late = shared_->stop;
    if (!late) {
      shared_->hint = true;
      if (done) shared_->asked.push_back(std::move(done));
    }
  }
  shared_->wake.notify_all();
  if (late && done) done(fail(Code::cancelled, "store " + config_.name + " is stopping"));
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
        pump_prefetch();
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
    const auto counts =
        context_.db.read_sync([&](state::Reader& db) { return state::count_objects(db, id_); });
    bool news = false;
    {
      const std::scoped_lock lock(shared_->mutex);
      const std::string error = outcome ? "" : outcome.error().message();
      news = error != shared_->status.last_error;
      shared_->status.phase = "idle";
      shared_->status.last_sync_ms = now;
      if (outcome) shared_->status.last_ok_ms = now;
      shared_->status.last_error = error;
      if (counts) {
        shared_->status.objects = counts->objects;
        shared_->status.skipped = counts->skipped;
      }
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
    if (outcome && prefetches_) prefetch_missing();
  }
}

Result<void> StoreRunner::sync() {
  Sync sync;
  for (auto step : {&StoreRunner::list, &StoreRunner::forget_vanished, &StoreRunner::read_indexes,
                    &StoreRunner::find_described, &StoreRunner::examine}) {
    if (auto done = (this->*step)(sync); !done) {
      if (sync.catalog_changed) context_.catalog_changed();
      return done;
    }
  }
  if (sync.catalog_changed) context_.catalog_changed();
  return {};
}

Result<void> StoreRunner::list(Sync& sync) {
  std::string cursor;
  for (;;) {
    auto page = client_->list(cursor, kPage);
    if (!page) return fail(std::move(page).error());
    if (stopping()) return fail(Code::cancelled, "stopping");
    cursor = std::move(page->cursor);
    // A store may give more than was asked for; the database takes pages.
    std::vector<plugin::Object>& objects = page->objects;
    for (std::size_t from = 0; from < objects.size(); from += state::kObjectPage) {
      const std::size_t to = std::min(objects.size(), from + state::kObjectPage);
      std::vector<plugin::Object> part(
          std::make_move_iterator(objects.begin() + static_cast<std::ptrdiff_t>(from)),
          std::make_move_iterator(objects.begin() + static_cast<std::ptrdiff_t>(to)));
      if (auto taken = take_page(sync, std::move(part)); !taken) return taken;
    }
    if (cursor.empty()) return {};
  }
}

Result<void> StoreRunner::take_page(Sync& sync, std::vector<plugin::Object> objects) {
  std::vector<std::string> keys;
  keys.reserve(objects.size());
  for (const plugin::Object& object : objects) keys.push_back(object.key);
  auto known = context_.db.read_sync([&](state::Reader& db) { return state::find_objects(db, id_, keys); });
  if (!known) return fail(std::move(known).error());

  struct Change {
    state::Object object;
    bool other_bytes = false;  // as far as the change token tells
  };
  std::vector<Change> changed;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const plugin::Object& listed = objects[i];
    const std::optional<state::Object>& old = (*known)[i];
    state::Object object;
    object.store = id_;
    object.key = listed.key;
    object.change_token = listed.change_token;
    object.size = listed.size;
    object.flags = listed.flags;
    object.digest = listed.sha256;
    if (listed.modified_ms != 0) object.modified_ms = listed.modified_ms;
    object.metadata = pack(listed.metadata);
    object.skipped = std::string(kPending);
    if (old) {
      sync.seen.add(old->id);
      if (same_object(*old, object)) {
        if (old->skipped == kPending) sync.dirty.push_back(old->id);
        continue;
      }
    }
    if (indexes_.is_index(object.key))
      sync.index_changed = true;
    else if (firmware::is_sidecar_key(object.key))
      sync.sidecars.insert(object.key);
    const bool other_bytes = old && old->change_token != object.change_token;
    changed.push_back({std::move(object), other_bytes});
  }
  if (changed.empty()) return {};
  std::vector<state::Event> events;
  auto ids = context_.db.write_sync([&](state::Writer& db) -> Result<std::vector<std::int64_t>> {
    std::vector<std::int64_t> written;
    for (const auto& [object, other_bytes] : changed) {
      const auto id = state::put_object(db, object);
      if (!id) return fail(id.error());
      written.push_back(*id);
      if (!other_bytes) continue;
      if (auto turned = turn_firmware(db, config_.name, object, *id, events); !turned)
        return fail(std::move(turned).error());
    }
    return written;
  });
  if (!ids) return fail(std::move(ids).error());
  for (state::Event& event : events) {
    sync.catalog_changed = true;
    context_.events.add(std::move(event));
  }
  for (std::int64_t id : *ids) {
    sync.seen.add(id);
    sync.dirty.push_back(id);
  }
  return {};
}

Result<void> StoreRunner::forget_vanished(Sync& sync) {
  std::string after;
  for (;;) {
    auto page = context_.db.read_sync(
        [&](state::Reader& db) { return state::page_vanished(db, id_, after, sync.seen); });
    if (!page) return fail(std::move(page).error());
    if (!page->objects.empty()) {
      auto gone = context_.db.write_sync([&](state::Writer& db) -> Result<void> {
        for (const state::Object& object : page->objects) {
          if (auto deleted = state::delete_object(db, object.id); !deleted) return deleted;
        }
        return {};
      });
      if (!gone) return gone;
      for (const state::Object& object : page->objects) {
        if (indexes_.is_index(object.key)) {
          sync.index_changed = true;
        } else if (firmware::is_sidecar_key(object.key)) {
          sync.sidecars.insert(object.key);
        } else if (!object.skipped) {
          sync.catalog_changed = true;
          context_.events.add("withdrawn", state::Severity::info, config_.name,
                              object.key + ": gone from the store; its firmware is no longer listed");
        }
      }
    }
    if (!page->next) return {};
    after = std::move(*page->next);
  }
}

Result<void> StoreRunner::read_indexes(Sync& sync) {
  if (indexes_.all.empty() || (indexes_read_ && !sync.index_changed)) return {};
  for (StoreIndexes::One& one : indexes_.all) {
    firmware::FirmwareIndex names;
    firmware::VersionIndex versions;
    const auto read = [&](const std::string& key, firmware::IndexFile& file) -> Result<void> {
      const auto object =
          context_.db.read_sync([&](state::Reader& db) { return state::find_object(db, id_, key); });
      if (!object) return fail(object.error());
      if (!*object) return {};
      auto text = client_->read(key, (*object)->change_token, 0, firmware::kMaxIndex, true);
      if (!text) return fail(std::move(text).error().with_context("index " + key));
      if (auto fed = file.feed(*text); !fed) return fail(std::move(fed).error().with_context("index " + key));
      file.finish();
      for (const firmware::IndexProblem& problem : file.problems()) {
        context_.events.add("index_line_skipped", state::Severity::warning, config_.name,
                            key + ":" + std::to_string(problem.line) + ": " + problem.reason);
      }
      return {};
    };
    if (auto done = read(one.config.firmware, names); !done) return done;
    if (auto done = read(one.config.versions, versions); !done) return done;
    one.firmware = std::move(names);
    one.versions = std::move(versions);
  }
  const bool first = !indexes_read_;
  indexes_read_ = true;
  if (first && !sync.index_changed) return {};

  // Any object may have come into the index or left it.
  std::string after;
  for (;;) {
    auto page = context_.db.read_sync(
        [&](state::Reader& db) { return state::page_objects(db, id_, after, state::kObjectPage); });
    if (!page) return fail(std::move(page).error());
    for (const state::Object& object : *page) sync.dirty.push_back(object.id);
    if (page->size() < state::kObjectPage) return {};
    after = page->back().key;
  }
}

Result<void> StoreRunner::find_described(Sync& sync) {
  for (const std::string& sidecar : sync.sidecars) {
    // "a/x.json" may describe "a/x.bin", "a/x.bin.json" only "a/x.bin": all begin with "a/x".
    const std::string prefix = sidecar.substr(0, sidecar.size() - std::string_view(".json").size());
    auto ids = context_.db.read_sync([&](state::Reader& db) -> Result<std::vector<std::int64_t>> {
      std::vector<std::int64_t> described;
      auto exact = state::find_object(db, id_, prefix);
      if (!exact) return fail(std::move(exact).error());
      if (*exact) described.push_back((*exact)->id);
      auto objects = state::page_objects(db, id_, prefix, state::kObjectPage);
      if (!objects) return fail(std::move(objects).error());
      for (const state::Object& object : *objects) {
        if (!object.key.starts_with(prefix)) break;
        if (firmware::may_describe(sidecar, object.key)) described.push_back(object.id);
      }
      return described;
    });
    if (!ids) return fail(std::move(ids).error());
    sync.dirty.insert(sync.dirty.end(), ids->begin(), ids->end());
  }
  return {};
}

Result<void> StoreRunner::examine(Sync& sync) {
  std::sort(sync.dirty.begin(), sync.dirty.end());
  sync.dirty.erase(std::unique(sync.dirty.begin(), sync.dirty.end()), sync.dirty.end());
  if (sync.dirty.empty()) return {};
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->status.phase = "examining";
  }
  for (std::size_t from = 0; from < sync.dirty.size(); from += kBatch) {
    if (stopping()) return fail(Code::cancelled, "stopping");
    const std::size_t to = std::min(sync.dirty.size(), from + kBatch);
    const std::vector<std::int64_t> ids(sync.dirty.begin() + static_cast<std::ptrdiff_t>(from),
                                        sync.dirty.begin() + static_cast<std::ptrdiff_t>(to));
    if (auto done = examine_batch(sync, ids); !done) return done;
  }
  return {};
}

namespace {

// What examining one object came to.
struct Examined {
  state::Object object;
  std::optional<state::Firmware> firmware;  // none: `object.skipped` says why
  std::vector<state::Event> events;
};

state::Firmware to_firmware(const state::Object& object, const firmware::Merged& merged,
                            firmware::Format format) {
  state::Firmware row;
  row.object = object.id;
  row.store = object.store;
  row.name = merged.identity.name;
  row.version = merged.identity.version;
  row.type = merged.identity.type;
  row.kind = firmware::to_string(merged.identity.kind);
  if (!merged.identity.dependency.empty()) row.dependency = merged.identity.dependency;
  row.format = firmware::to_string(format);
  row.size = merged.size ? merged.size : object.size;
  row.expected_digest = merged.sha256;
  // The store's own order where versions have none: by time, then by when we first saw it.
  row.sequence = object.modified_ms.value_or(0);
  return row;
}

// Writes one examined object; true when the catalog answers differently now.
Result<bool> write_examined(state::Writer& db, const std::string& store_name, Examined& examined) {
  auto before = state::firmware_of_object(db, examined.object.id);
  if (!before) return fail(std::move(before).error());
  if (auto put = state::put_object(db, examined.object); !put) return fail(std::move(put).error());
  if (!examined.firmware) {
    if (auto kept = state::keep_firmware(db, examined.object.id, {}); !kept)
      return fail(std::move(kept).error());
    return !before->empty();
  }

  state::Firmware& row = *examined.firmware;
  const state::VersionKey version{examined.object.store, examined.object.key, examined.object.change_token};
  auto remembered = state::find_version(db, version);
  if (!remembered) return fail(std::move(remembered).error());
  // Bytes that were verified before stay so: as recorded for this version, or as expected and cached.
  if (*remembered && (*remembered)->digest) row.blob = (*remembered)->digest;
  if (row.expected_digest && row.blob != row.expected_digest) {
    const auto blob = state::find_blob(db, *row.expected_digest);
    if (!blob) return fail(blob.error());
    const bool sound = *blob && (*blob)->state == state::BlobState::ok;
    row.blob = sound ? row.expected_digest : std::nullopt;
    if (sound) row.size = (*blob)->size;
  }
  if (row.blob) {
    const auto level = state::find_verification(db, *row.blob, "fill");
    if (!level) return fail(level.error());
    row.verified = level->value_or(state::Verified::length);
    if (row.expected_digest) row.verified = std::max(row.verified, state::Verified::digest);
  }
  if (!row.expected_digest) {
    const std::int64_t generation = *remembered ? (*remembered)->generation : 1;
    const auto tag =
        state::settle_tag(db, version, made_tag(store_name, version.key, version.change_token, generation));
    if (!tag) return fail(tag.error());
  }
  bool known = false;
  for (const state::Firmware& old : *before) {
    if (old.name != row.name || old.version != row.version || old.type != row.type) continue;
    known = true;
    if (row.format.empty()) row.format = old.format;
  }
  const auto id = state::put_firmware(db, row);
  if (!id) return fail(id.error());
  const std::int64_t ids[] = {*id};
  if (auto kept = state::keep_firmware(db, examined.object.id, ids); !kept)
    return fail(std::move(kept).error());
  const auto all = state::firmware_of_triple(db, row.name, row.version, row.type);
  if (!all) return fail(all.error());
  for (const state::Firmware& other : *all) {
    if (other.id != *id || !other.conflict || known) continue;
    examined.events.push_back(
        firmware_event("conflict", state::Severity::warning, store_name, other,
                       examined.object.key + ": another store has other bytes under this name and version; " +
                           all->front().store_name + " wins"));
  }
  if (!known) {
    examined.events.push_back(firmware_event("listed", state::Severity::info, store_name, row,
                                             examined.object.key + ": new in the catalog"));
  }
  return true;
}

}  // namespace

Result<void> StoreRunner::examine_batch(Sync& sync, const std::vector<std::int64_t>& ids) {
  const bool stats = (client_->caps().flags & OTAGATE_STORE_STAT) != 0;
  Lookups lookups;
  lookups.sidecar = [&](const std::string& key) -> Result<std::optional<std::string>> {
    const auto object =
        context_.db.read_sync([&](state::Reader& db) { return state::find_object(db, id_, key); });
    if (!object) return fail(object.error());
    if (!*object) return std::nullopt;
    auto text = client_->read(key, (*object)->change_token, 0, firmware::kMaxSidecar, true);
    if (!text) return fail(std::move(text).error());
    return std::move(*text);
  };
  lookups.stat = [&](const std::string& key) -> Result<Pairs> {
    auto object = client_->stat(key);
    if (!object) return fail(std::move(object).error());
    return std::move(object->metadata);
  };
  lookups.head = [&](const state::Object& object) {
    return client_->read(object.key, object.change_token, 0, firmware::kProbeBytes, false);
  };

  std::vector<Examined> batch;
  for (const std::int64_t id : ids) {
    if (stopping()) return fail(Code::cancelled, "stopping");
    auto object = context_.db.read_sync([&](state::Reader& db) { return state::get_object(db, id); });
    if (!object) return fail(std::move(object).error());
    if (!*object) continue;
    Examined examined{std::move(**object), std::nullopt, {}};
    Interpreted found = interpreter_.interpret(
        examined.object, stats && (examined.object.flags & OTAGATE_OBJECT_STAT) != 0, indexes_, lookups);
    if (found.merged) {
      examined.object.skipped.reset();
      examined.firmware = to_firmware(examined.object, *found.merged, found.format);
    } else if (found.merged.error().code() == Code::rejected ||
               found.merged.error().code() == Code::invalid || found.merged.error().code() == Code::denied ||
               found.merged.error().code() == Code::permanent) {
      const bool news = examined.object.skipped != found.merged.error().message();
      examined.object.skipped = found.merged.error().message();
      if (news && worth_an_event(examined.object)) {
        state::Event event;
        event.kind = "skipped";
        event.severity = state::Severity::notice;
        event.instance = config_.name;
        event.message = examined.object.key + ": " + *examined.object.skipped;
        examined.events.push_back(std::move(event));
      }
    } else if (found.merged.error().code() == Code::changed ||
               found.merged.error().code() == Code::not_found) {
      continue;  // it moved under us: the next listing sees what it is now; pending until then
    } else {
      return fail(std::move(found.merged).error());
    }
    batch.push_back(std::move(examined));
  }
  auto written = context_.db.write_sync([&](state::Writer& db) -> Result<bool> {
    bool any = false;
    for (Examined& examined : batch) {
      const auto changed = write_examined(db, config_.name, examined);
      if (!changed) return fail(changed.error());
      any = any || *changed;
    }
    return any;
  });
  if (!written) return fail(std::move(written).error());
  sync.catalog_changed = sync.catalog_changed || *written;
  // A first listing of a large store is one event, not a hundred thousand.
  const bool many = sync.dirty.size() > kBatch;
  for (Examined& examined : batch) {
    for (state::Event& event : examined.events) {
      if (!many || event.severity >= state::Severity::warning) context_.events.add(std::move(event));
    }
  }
  return {};
}

void StoreRunner::prefetch_missing() {
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->stop || !shared_->queue.empty()) return;
  }
  std::deque<std::int64_t> missing;
  std::uint64_t bytes = 0;
  bool room = true;
  state::CatalogQuery query;
  query.store = config_.name;
  query.limit = state::kCatalogPage;
  while (room) {
    auto page = context_.db.read_sync([&](state::Reader& db) { return state::page_catalog(db, query); });
    if (!page) return;
    for (const state::Firmware& row : page->items) {
      if (row.cached) continue;
      bytes += row.size.value_or(0);
      room = context_.room(bytes);
      if (!room) break;
      missing.push_back(row.id);
    }
    if (!page->next) break;
    query.after = std::move(page->next);
  }
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->stop) return;
    shared_->queue = std::move(missing);
  }
  pump_prefetch();
}

void StoreRunner::pump_prefetch() {
  for (;;) {
    std::int64_t id = 0;
    {
      const std::scoped_lock lock(shared_->mutex);
      if (shared_->stop || shared_->queue.empty() || shared_->running >= kPrefetches) return;
      id = shared_->queue.front();
      shared_->queue.pop_front();
      ++shared_->running;
    }
    // May come inline or long after the runner has gone: it touches nothing but what is shared.
    context_.prefetch(id, [shared = shared_](bool) {
      {
        const std::scoped_lock lock(shared->mutex);
        --shared->running;
        shared->pump = true;
      }
      shared->wake.notify_all();
    });
  }
}

}  // namespace otagate::gateway
