#include "gateway/journal.hpp"

#include "core/clock.hpp"
#include "core/log.hpp"
#include "gateway/catalog.hpp"
#include "state/blobs.hpp"
#include "state/fills.hpp"
#include "state/firmware.hpp"
#include "state/objects.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

// The level a blob reached when it was filled, kept as a verification under this policy.
constexpr std::string_view kFillPolicy = "fill";

state::Verified to_state(cache::VerifyLevel level) { return static_cast<state::Verified>(level); }

state::Blob to_row(const cache::BlobRecord& blob) {
  state::Blob row;
  row.digest = blob.digest;
  row.size = blob.size;
  row.added_ms = wall_ms();
  row.used_sequence = static_cast<std::int64_t>(blob.last_used_seq);
  row.used_ms = blob.last_used_ms;
  row.file = {blob.identity.device, blob.identity.inode, blob.identity.mtime_ns, blob.identity.ctime_ns};
  return row;
}

// Every firmware that has these bytes by the fill's own object, or by what was expected of them.
Result<void> attach_blob(state::Writer& db, const cache::BlobRecord& blob,
                         const std::optional<state::VersionKey>& version, const std::string& format) {
  if (version) {
    const auto object = state::find_object(db, version->store, version->key);
    if (!object) return fail(object.error());
    if (*object && (*object)->change_token == version->change_token) {
      if (auto set = state::set_blob(db, (*object)->id, blob.digest, blob.size, to_state(blob.level)); !set)
        return set;
      if (!format.empty()) {
        auto rows = state::firmware_of_object(db, (*object)->id);
        if (!rows) return fail(rows.error());
        for (state::Firmware& row : *rows) {
          if (row.format == format) continue;
          row.format = format;
          if (auto put = state::put_firmware(db, row); !put) return fail(put.error());
        }
      }
    }
  }
  auto others = state::firmware_of_digest(db, blob.digest);
  if (!others) return fail(others.error());
  for (const state::Firmware& row : *others) {
    if (row.blob == blob.digest) continue;
    const auto level = std::max(to_state(blob.level), state::Verified::digest);
    if (auto set = state::set_blob(db, row.object, blob.digest, blob.size, level); !set) return set;
  }
  return {};
}

}  // namespace

void Journal::set_store(const std::string& name, std::int64_t id) {
  const std::scoped_lock lock(mutex_);
  stores_[name].id = id;
}

void Journal::remove_store(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  stores_.erase(name);
}

void Journal::set_listed(const std::string& name, bool good) {
  const std::scoped_lock lock(mutex_);
  // A listing that ends while its store is being removed does not bring it back.
  if (const auto found = stores_.find(name); found != stores_.end()) found->second.listed = good;
}

bool Journal::rejecting(const cache::FillKey& key) const {
  const std::scoped_lock lock(mutex_);
  return rejecting_.contains(key.id());
}

void Journal::note_format(const cache::FillKey& key, std::string format) {
  const std::scoped_lock lock(mutex_);
  formats_[key.id()] = std::move(format);
}

std::optional<std::int64_t> Journal::store_id(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = stores_.find(name);
  if (found == stores_.end() || found->second.id == 0) return std::nullopt;
  return found->second.id;
}

Result<std::vector<cache::BlobRecord>> Journal::known_blobs(state::Database& db) {
  std::vector<cache::BlobRecord> known;
  std::optional<Digest> after;
  for (;;) {
    auto page = db.read_sync([&](state::Reader& reader) -> Result<std::vector<cache::BlobRecord>> {
      auto rows = state::page_blobs(reader, after, state::kBlobPage);
      if (!rows) return fail(rows.error());
      std::vector<cache::BlobRecord> records;
      for (const state::Blob& row : *rows) {
        after = row.digest;
        if (row.state != state::BlobState::ok) continue;
        cache::BlobRecord& record = records.emplace_back();
        record.digest = row.digest;
        record.size = row.size;
        record.identity = {row.file.device, row.file.inode, row.size, row.file.mtime_ns, row.file.ctime_ns};
        record.last_used_seq = static_cast<std::uint64_t>(row.used_sequence);
        record.last_used_ms = row.used_ms;
        const auto level = state::find_verification(reader, row.digest, kFillPolicy);
        if (!level) return fail(level.error());
        record.level = static_cast<cache::VerifyLevel>(*level ? (*level)->level : state::Verified::length);
        if (*level) record.verified_ms = (*level)->wall_ms;
      }
      if (rows->size() < state::kBlobPage) after.reset();
      return records;
    });
    if (!page) return fail(page.error());
    known.insert(known.end(), std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
    if (!after) return known;
  }
}

void Journal::fill_started(const cache::FillKey& key, std::string_view id, std::uint64_t size) {
  const auto store = store_id(key.store);
  if (!store) return;
  state::Fill fill;
  fill.version = {*store, key.object, key.change_token};
  fill.expected_digest = key.expected;
  if (size != cache::kUnknownSize) fill.size = size;
  fill.started_ms = wall_ms();
  db_.write([this, fill, id = std::string(id)](state::Writer& writer) -> Result<void> {
    auto row = state::start_fill(writer, fill);
    if (!row) return fail(row.error());
    fill_rows_[id] = *row;
    return {};
  });
}

void Journal::fill_ended(const cache::FillKey& key, std::string_view id, Code code, std::string_view reason) {
  const auto store = store_id(key.store);  // none: it has gone while the fill ran
  {
    const std::scoped_lock lock(mutex_);
    formats_.erase(key.id());
    if (code == Code::rejected) rejecting_.insert(key.id());
  }
  db_.write(
      [this, key, store, id = std::string(id), code,
       reason = std::string(reason)](state::Writer& writer) -> Result<void> {
        if (const auto row = fill_rows_.extract(id)) {
          if (auto ended = state::end_fill(writer, row.mapped()); !ended) return ended;
        }
        if (code != Code::rejected || !store) return {};
        const state::VersionKey version{*store, key.object, key.change_token};
        if (auto kept = state::reject(writer, version, key.expected, reason, wall_ms()); !kept) return kept;
        // What peers hold under the old tag must never be completed with other bytes.
        const auto generation = state::retire_tag(writer, version);
        if (!generation) return fail(generation.error());
        const auto tag = state::settle_tag(writer, version,
                                           made_tag(key.store, key.object, key.change_token, *generation));
        if (!tag) return fail(tag.error());
        return {};
      },
      [this, code, fill_id = key.id()](Result<void> outcome) {
        if (!outcome) log("gateway").error("recording the end of a fill: {}", outcome.error().message());
        if (code == Code::rejected) {
          const std::scoped_lock lock(mutex_);
          if (const auto found = rejecting_.find(fill_id); found != rejecting_.end()) rejecting_.erase(found);
        }
        if (code == Code::rejected) catalog_changed_();
      });
}

void Journal::blob_added(const cache::BlobRecord& blob, const std::optional<cache::FillKey>& key, Done done) {
  std::optional<state::VersionKey> version;
  std::string format;
  if (key) {
    if (const auto store = store_id(key->store)) {
      version = state::VersionKey{*store, key->object, key->change_token};
    }
    const std::scoped_lock lock(mutex_);
    if (const auto found = formats_.find(key->id()); found != formats_.end()) format = found->second;
  }
  db_.write(
      [blob, version, format](state::Writer& writer) -> Result<void> {
        if (auto put = state::put_blob(writer, to_row(blob)); !put) return put;
        if (auto put = state::put_verification(writer, blob.digest, kFillPolicy, to_state(blob.level),
                                               blob.verified_ms);
            !put)
          return put;
        if (version) {
          const auto digest = state::settle_digest(writer, *version, blob.digest);
          if (!digest) return fail(digest.error());
          if (auto lifted = state::lift_rejections(writer, *version); !lifted) return lifted;
        }
        return attach_blob(writer, blob, version, format);
      },
      [this, done = std::move(done)](Result<void> outcome) {
        catalog_changed_();
        done(std::move(outcome));
      });
}

void Journal::blob_removed(const Digest& digest, std::string_view, Done done) {
  db_.write([digest](state::Writer& writer) { return state::delete_blob(writer, digest); },
            [this, done = std::move(done)](Result<void> outcome) {
              catalog_changed_();
              done(std::move(outcome));
            });
}

void Journal::blob_verified(const cache::BlobRecord& blob) {
  db_.write([row = to_row(blob), level = to_state(blob.level),
             when = blob.verified_ms](state::Writer& writer) -> Result<void> {
    if (auto set = state::set_blob_file(writer, row.digest, row.file); !set) return set;
    return state::put_verification(writer, row.digest, kFillPolicy, level, when);
  });
}

void Journal::blob_quarantined(const Digest& digest, std::string_view reason) {
  blob_removed(digest, reason, [](Result<void> outcome) {
    if (!outcome) log("gateway").error("recording a quarantined blob: {}", outcome.error().message());
  });
}

void Journal::blobs_used(std::span<const cache::BlobRecord> blobs) {
  std::vector<state::BlobUse> uses;
  uses.reserve(blobs.size());
  for (const cache::BlobRecord& blob : blobs)
    uses.push_back({blob.digest, static_cast<std::int64_t>(blob.last_used_seq), blob.last_used_ms});
  db_.write([uses = std::move(uses)](state::Writer& writer) { return state::touch_blobs(writer, uses); });
}

void Journal::event(const cache::Event& event) {
  using Kind = cache::Event::Kind;
  state::Event record;
  record.kind = cache::to_string(event.kind);
  switch (event.kind) {
    case Kind::fill_failed:
    case Kind::fill_changed:
    case Kind::chunk_refetched:
    case Kind::blob_lost: record.severity = state::Severity::warning; break;
    case Kind::fill_rejected:
    case Kind::no_space:
    case Kind::blob_quarantined: record.severity = state::Severity::error; break;
    default: record.severity = state::Severity::info;
  }
  if (!event.key.store.empty()) record.instance = event.key.store;
  record.blob = event.digest;
  record.message = event.key.object.empty() ? event.message : event.key.object + ": " + event.message;
  events_.add(std::move(record));
}

bool Journal::may_expire(const Digest&) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, row] : stores_) {
    if (!row.listed) return false;
  }
  return true;
}

}  // namespace otagate::gateway
