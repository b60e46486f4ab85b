#include "gateway/catalog_writer.hpp"

#include <algorithm>

#include "gateway/catalog.hpp"
#include "state/blobs.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

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

}  // namespace

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

namespace {

// Where another store has other bytes under the name and version of the new firmware `id`.
Result<void> tell_of_conflict(state::Writer& db, const std::string& store_name, std::int64_t id,
                              Examined& examined) {
  const state::Firmware& row = *examined.firmware;
  const auto rows = state::count_triple(db, row.name, row.version, row.type);
  if (!rows) return fail(rows.error());
  if (*rows < 2) return {};
  const auto all = state::firmware_of_triple(db, row.name, row.version, row.type);
  if (!all) return fail(all.error());
  for (const state::Firmware& other : *all) {
    if (other.id != id || !other.conflict) continue;
    examined.events.push_back(
        firmware_event("conflict", state::Severity::warning, store_name, other,
                       examined.object.key + ": another store has other bytes under this name and version; " +
                           all->front().store_name + " wins"));
  }
  return {};
}

}  // namespace

Result<bool> write_examined(state::Writer& db, const std::string& store_name, Examined& examined) {
  auto before = state::firmware_of_object(db, examined.object.id);
  if (!before) return fail(std::move(before).error());
  if (auto set = state::set_skipped(db, examined.object.id, examined.object.skipped); !set)
    return fail(std::move(set).error());
  if (!examined.firmware) {
    if (before->empty()) return false;
    if (auto kept = state::keep_firmware(db, examined.object.id, {}); !kept)
      return fail(std::move(kept).error());
    return true;
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
    row.verified = *level ? (*level)->level : state::Verified::length;
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
  if (std::any_of(before->begin(), before->end(), [&](const auto& old) { return old.id != *id; })) {
    const std::int64_t ids[] = {*id};
    if (auto kept = state::keep_firmware(db, examined.object.id, ids); !kept)
      return fail(std::move(kept).error());
  }
  if (known) return true;
  if (auto told = tell_of_conflict(db, store_name, *id, examined); !told)
    return fail(std::move(told).error());
  examined.events.push_back(firmware_event("listed", state::Severity::info, store_name, row,
                                           examined.object.key + ": new in the catalog"));
  return true;
}

}  // namespace otagate::gateway
