#include "gateway/store_sync.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "core/digest.hpp"
#include "firmware/metadata.hpp"
#include "gateway/examine.hpp"
#include "state/settings.hpp"

namespace otagate::gateway {

namespace {

constexpr std::uint32_t kListPage = 1000;
constexpr std::size_t kBatch = 250;  // objects examined in one transaction
constexpr std::string_view kPending = "not examined yet";

bool same_object(const state::Object& a, const state::Object& b) {
  // The time as well: S3 keeps the ETag when only an object's metadata is written anew.
  return a.change_token == b.change_token && a.size == b.size && a.flags == b.flags && a.digest == b.digest &&
         a.metadata == b.metadata && a.modified_ms == b.modified_ms;
}

state::Object to_object(std::int64_t store, const plugin::Object& listed) {
  state::Object object;
  object.store = store;
  object.key = listed.key;
  object.change_token = listed.change_token;
  object.size = listed.size;
  object.flags = listed.flags;
  object.digest = listed.sha256;
  if (listed.modified_ms != 0) object.modified_ms = listed.modified_ms;
  object.metadata = pack(listed.metadata);
  object.skipped = std::string(kPending);
  return object;
}

// The settings by which an object becomes a firmware, digested. The first word grows when the same settings
// come to mean something else.
std::string rules_of(const config::Store& config) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(std::to_string(text.size()));
    hash.update(":");
    hash.update(text);
  };
  add("1");
  add(std::to_string(static_cast<int>(config.metadata)));
  for (const std::string& pattern : config.pattern) add(pattern);
  for (const config::StoreIndex& index : config.index) {
    add(index.kind);
    add(index.firmware);
    add(index.versions);
  }
  return hash.finish().hex();
}

std::string rules_setting(std::int64_t store) { return "store_rules/" + std::to_string(store); }

}  // namespace

Result<void> StoreSync::run() {
  for (auto step :
       {&StoreSync::check_rules, &StoreSync::list, &StoreSync::forget_vanished, &StoreSync::read_indexes,
        &StoreSync::find_described, &StoreSync::examine, &StoreSync::count}) {
    if (auto done = (this->*step)(); !done) return done;
  }
  if (!new_rules_) return {};
  return scope_.db.write_sync(
      [&](state::Writer& db) { return state::put_setting(db, rules_setting(scope_.store), rules_); });
}

// Other patterns make another catalog of the same objects.
Result<void> StoreSync::check_rules() {
  rules_ = rules_of(scope_.config);
  const auto before = reads_.once([&](state::Reader& db, std::size_t) -> Result<std::optional<std::string>> {
    return state::get_setting(db, rules_setting(scope_.store));
  });
  if (!before) return fail(before.error());
  new_rules_ = *before != rules_;
  return {};
}

Result<void> StoreSync::list() {
  std::string cursor;
  for (;;) {
    auto page = scope_.client.list(cursor, kListPage);
    if (!page) return fail(std::move(page).error());
    if (scope_.stopping()) return fail(Code::cancelled, "stopping");
    cursor = std::move(page->cursor);
    if (auto taken = take_page(page->objects); !taken) return taken;
    if (cursor.empty()) return writes_.finish();
  }
}

Result<void> StoreSync::take_page(const std::vector<plugin::Object>& objects) {
  struct Change {
    state::Object object;
    bool other_bytes = false;  // as far as the change token tells
  };
  std::vector<Change> changed;
  std::vector<std::string> keys;
  std::vector<std::optional<state::Object>> known(objects.size());
  keys.reserve(objects.size());
  for (const plugin::Object& object : objects) keys.push_back(object.key);
  auto read = reads_.all(objects.size(), [&](state::Reader& db, std::size_t from, std::size_t to) {
    auto found = state::find_objects(db, scope_.store, std::span(keys).subspan(from, to - from));
    if (!found) return Result<void>(fail(std::move(found).error()));
    std::move(found->begin(), found->end(), known.begin() + static_cast<std::ptrdiff_t>(from));
    return Result<void>();
  });
  if (!read) return read;

  for (std::size_t i = 0; i < objects.size(); ++i) {
    const std::optional<state::Object>& old = known[i];
    state::Object object = to_object(scope_.store, objects[i]);
    if (old) {
      seen_.add(old->id);
      if (same_object(*old, object)) {
        if (old->skipped == kPending || new_rules_) dirty_.push_back(old->id);
        continue;
      }
    }
    if (scope_.known.indexes.is_index(object.key))
      index_changed_ = true;
    else if (firmware::is_sidecar_key(object.key))
      sidecars_.insert(object.key);
    const bool other_bytes = old && old->change_token != object.change_token;
    changed.push_back({std::move(object), other_bytes});
  }
  // The database takes its writes in parts, so that those of others get in between.
  for (std::size_t from = 0; from < changed.size(); from += kBatch) {
    struct Part {
      std::vector<Change> changes;
      std::vector<std::int64_t> ids{};
      std::vector<state::Event> events{};
    };
    const auto begin = std::make_move_iterator(changed.begin() + static_cast<std::ptrdiff_t>(from));
    const auto part = std::make_shared<Part>(
        Part{{begin, begin + static_cast<std::ptrdiff_t>(std::min(kBatch, changed.size() - from))}});
    const auto put = [this, part](state::Writer& db) -> Result<void> {
      for (const auto& [object, other_bytes] : part->changes) {
        const auto id = state::put_object(db, object);
        if (!id) return fail(id.error());
        part->ids.push_back(*id);
        if (!other_bytes) continue;
        if (auto turned = turn_firmware(db, scope_.config.name, object, *id, part->events); !turned)
          return turned;
      }
      return {};
    };
    auto queued = writes_.put(put, [this, part] {
      for (state::Event& event : part->events) {
        catalog_changed_ = true;
        scope_.events.add(std::move(event));
      }
      for (const std::int64_t id : part->ids) {
        seen_.add(id);
        dirty_.push_back(id);
      }
    });
    if (!queued) return queued;
  }
  return {};
}

Result<void> StoreSync::forget_vanished() {
  std::string after;
  for (;;) {
    auto page = reads_.once([&](state::Reader& db, std::size_t limit) {
      return state::page_vanished(db, scope_.store, after, seen_, limit);
    });
    if (!page) return fail(std::move(page).error());
    if (!page->objects.empty()) {
      auto gone = scope_.db.write_sync([&](state::Writer& db) -> Result<void> {
        for (const state::Object& object : page->objects) {
          if (auto deleted = state::delete_object(db, object.id); !deleted) return deleted;
        }
        return {};
      });
      if (!gone) return gone;
      for (const state::Object& object : page->objects) {
        if (scope_.known.indexes.is_index(object.key)) {
          index_changed_ = true;
        } else if (firmware::is_sidecar_key(object.key)) {
          sidecars_.insert(object.key);
        } else if (!object.skipped) {
          catalog_changed_ = true;
          scope_.events.add("withdrawn", state::Severity::info, scope_.config.name,
                            object.key + ": gone from the store; its firmware is no longer listed");
        }
      }
    }
    if (!page->next) return {};
    after = std::move(*page->next);
  }
}

Result<void> StoreSync::read_indexes() {
  StoreIndexes& indexes = scope_.known.indexes;
  if (indexes.all.empty() || (scope_.known.read && !index_changed_)) return {};
  for (StoreIndexes::One& one : indexes.all) {
    firmware::FirmwareIndex names;
    firmware::VersionIndex versions;
    const auto read = [&](const std::string& key, firmware::IndexFile& file) -> Result<void> {
      const auto object = reads_.once(
          [&](state::Reader& db, std::size_t) { return state::find_object(db, scope_.store, key); });
      if (!object) return fail(object.error());
      if (!*object) return {};
      auto text = scope_.client.read(key, (*object)->change_token, 0, firmware::kMaxIndex, true);
      if (!text) return fail(std::move(text).error().with_context("index " + key));
      if (auto fed = file.feed(*text); !fed) return fail(std::move(fed).error().with_context("index " + key));
      file.finish();
      for (const firmware::IndexProblem& problem : file.problems()) {
        scope_.events.add("index_line_skipped", state::Severity::warning, scope_.config.name,
                          key + ":" + std::to_string(problem.line) + ": " + problem.reason);
      }
      return {};
    };
    if (auto done = read(one.config.firmware, names); !done) return done;
    if (auto done = read(one.config.versions, versions); !done) return done;
    one.firmware = std::move(names);
    one.versions = std::move(versions);
  }
  const bool first = !scope_.known.read;
  scope_.known.read = true;
  if (first && !index_changed_) return {};

  // Any object may have come into the index or left it.
  std::string after;
  for (;;) {
    std::size_t asked = 0;
    auto page = reads_.once([&](state::Reader& db, std::size_t limit) {
      asked = limit;
      return state::page_objects(db, scope_.store, after, limit);
    });
    if (!page) return fail(std::move(page).error());
    for (const state::Object& object : *page) dirty_.push_back(object.id);
    if (page->size() < asked) return {};
    after = page->back().key;
  }
}

Result<void> StoreSync::find_described() {
  const std::vector<std::string> sidecars(sidecars_.begin(), sidecars_.end());
  return reads_.all(sidecars.size(),
                    [&](state::Reader& db, std::size_t from, std::size_t to) -> Result<void> {
                      std::vector<std::int64_t> described;
                      for (std::size_t i = from; i < to; ++i) {
                        // "a/x.json" may describe "a/x.bin", "a/x.bin.json" only "a/x.bin": all begin with
                        // "a/x".
                        const std::string prefix =
                            sidecars[i].substr(0, sidecars[i].size() - std::string_view(".json").size());
                        auto ids = state::find_by_prefix(
                            db, scope_.store, prefix, state::kObjectPage,
                            [&](std::string_view key) { return firmware::may_describe(sidecars[i], key); });
                        if (!ids) return fail(std::move(ids).error());
                        described.insert(described.end(), ids->begin(), ids->end());
                      }
                      dirty_.insert(dirty_.end(), described.begin(), described.end());
                      return {};
                    });
}

Result<void> StoreSync::examine() {
  std::sort(dirty_.begin(), dirty_.end());
  dirty_.erase(std::unique(dirty_.begin(), dirty_.end()), dirty_.end());
  if (dirty_.empty()) return {};
  scope_.examining();
  for (std::size_t from = 0; from < dirty_.size(); from += kBatch) {
    const auto begin = dirty_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = dirty_.begin() + static_cast<std::ptrdiff_t>(std::min(dirty_.size(), from + kBatch));
    if (auto done = examine_batch({begin, end}); !done) {
      (void)writes_.finish();  // what was found out before is kept, and told
      return done;
    }
  }
  return writes_.finish();
}

Result<void> StoreSync::examine_batch(const std::vector<std::int64_t>& ids) {
  Examination examination = examine_objects(scope_, reads_, ids);
  // What was found out before a failure is kept: the next sync does not ask for it again.
  if (auto written = write(std::move(examination.done)); !written) return written;
  return std::move(examination.outcome);
}

Result<void> StoreSync::write(std::vector<Examined> examined) {
  if (examined.empty()) return {};
  struct Batch {
    std::vector<Examined> objects;
    bool changed = false;
  };
  const auto batch = std::make_shared<Batch>(Batch{std::move(examined)});
  const auto put = [this, batch](state::Writer& db) -> Result<void> {
    for (Examined& one : batch->objects) {
      const auto changed = write_examined(db, scope_.config.name, one);
      if (!changed) return fail(changed.error());
      batch->changed = batch->changed || *changed;
    }
    return {};
  };
  return writes_.put(put, [this, batch] {
    catalog_changed_ = catalog_changed_ || batch->changed;
    // A first listing of a large store is one event, not a hundred thousand.
    const bool many = dirty_.size() > kBatch;
    for (Examined& one : batch->objects) {
      for (state::Event& event : one.events) {
        if (!many || event.severity >= state::Severity::warning) scope_.events.add(std::move(event));
      }
    }
  });
}

Result<void> StoreSync::count() {
  for (const bool only_skipped : {false, true}) {
    std::uint64_t& total = only_skipped ? skipped_ : objects_;
    std::optional<std::string> after = "";
    while (after) {
      auto page = reads_.once([&](state::Reader& db, std::size_t limit) {
        return state::count_objects(db, scope_.store, *after, limit, only_skipped);
      });
      if (!page) return fail(std::move(page).error());
      total += page->count;
      after = std::move(page->next);
    }
  }
  return {};
}

}  // namespace otagate::gateway
