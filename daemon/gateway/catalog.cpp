#include "gateway/catalog.hpp"

#include <algorithm>
#include <compare>

#include "core/digest.hpp"
#include "firmware/version.hpp"
#include "state/objects.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

std::string Entry::label() const {
  std::string text = firmware.name + "/" + firmware.version;
  if (!firmware.type.empty()) text += "/" + firmware.type;
  return text;
}

std::string made_tag(std::string_view store, std::string_view key, std::string_view change_token,
                     std::int64_t generation) {
  Sha256 hash;
  for (std::string_view part : {store, key, change_token}) {
    hash.update(std::to_string(part.size()));
    hash.update(":");
    hash.update(part);
  }
  hash.update(std::to_string(generation));
  // 128 bits: short enough for a device's header buffer.
  return "t-" + hash.finish().hex().substr(0, 32);
}

namespace {

Result<Entry> to_entry(state::Reader& db, state::Firmware firmware) {
  Entry entry;
  const auto version = state::find_version(db, {firmware.store, firmware.key, firmware.change_token});
  if (!version) return fail(version.error());
  const auto object = state::get_object(db, firmware.object);
  if (!object) return fail(object.error());
  if (*object) entry.modified_ms = (*object)->modified_ms.value_or(0);

  entry.digest = firmware.blob ? firmware.blob : firmware.expected_digest;
  if (*version) {
    entry.generation = (*version)->generation;
    if (!entry.digest) entry.digest = (*version)->digest;
    if ((*version)->tag) entry.tag = *(*version)->tag;
  }
  if (entry.tag.empty()) {
    entry.tag = firmware.expected_digest
                    ? firmware.expected_digest->hex()
                    : made_tag(firmware.store_name, firmware.key, firmware.change_token, entry.generation);
  }
  entry.shadowed = firmware.shadowed;
  entry.firmware = std::move(firmware);
  return entry;
}

Result<std::vector<Entry>> to_entries(state::Reader& db, std::vector<state::Firmware> rows,
                                      const Principal& principal) {
  std::vector<Entry> entries;
  for (state::Firmware& row : rows) {
    if (!principal.may_see(row.type, row.store_name)) continue;
    auto entry = to_entry(db, std::move(row));
    if (!entry) return fail(std::move(entry).error());
    entries.push_back(std::move(*entry));
  }
  return entries;
}

// Whether `a` is newer than `b` for `latest`: by version where both are ordered, else an ordered
// version beats one that is not, else the store's own sequence decides.
bool newer(const state::Firmware& a, const state::Firmware& b) {
  const auto order = firmware::compare(a.version, b.version);
  if (order == std::partial_ordering::greater) return true;
  if (order == std::partial_ordering::less) return false;
  const bool a_semantic = firmware::is_semantic(a.version);
  const bool b_semantic = firmware::is_semantic(b.version);
  if (a_semantic != b_semantic) return a_semantic;
  return std::pair(a.sequence, a.id) > std::pair(b.sequence, b.id);
}

// The newest of each type, over all pages of a name: bounded by the 100 ms a read may take.
Result<std::vector<state::Firmware>> latest(state::Reader& db, const ResolveQuery& query,
                                            const std::string& type) {
  std::vector<state::Firmware> best;
  state::CatalogQuery page_query;
  page_query.name = query.name;
  if (!type.empty()) page_query.type = type;
  page_query.winners_only = true;
  page_query.limit = state::kCatalogPage;
  for (;;) {
    auto page = state::page_catalog(db, page_query);
    if (!page) return fail(std::move(page).error());
    for (state::Firmware& row : page->items) {
      if (!query.principal->may_see(row.type, row.store_name) || row.kind == "patch") continue;
      if (!query.prereleases && firmware::is_prerelease(row.version)) continue;
      const auto same_type = std::find_if(best.begin(), best.end(),
                                          [&](const state::Firmware& item) { return item.type == row.type; });
      if (same_type == best.end()) {
        if (best.size() < 64) best.push_back(std::move(row));
      } else if (newer(row, *same_type)) {
        *same_type = std::move(row);
      }
    }
    if (!page->next) return best;
    page_query.after = std::move(page->next);
  }
}

// Whether what is known of both may be the same bytes.
bool may_be_same(const state::Firmware& a, const state::Firmware& b) {
  const auto digest = [](const state::Firmware& row) { return row.blob ? row.blob : row.expected_digest; };
  if (digest(a) && digest(b)) return digest(a) == digest(b);
  return !a.size || !b.size || a.size == b.size;
}

// A winner whose bytes are not here and whose store does not answer gives way to the next store that has
// the same firmware. That one has a tag of its own unless its bytes are known to be the same, so that no
// download mixes the two.
Result<void> fall_back(state::Reader& db, const ResolveQuery& query, std::vector<state::Firmware>& rows,
                       const std::function<bool(std::string_view store)>& reachable) {
  const auto can_serve = [&](const state::Firmware& row) { return row.cached || reachable(row.store_name); };
  for (state::Firmware& row : rows) {
    if (can_serve(row)) continue;
    auto all = state::firmware_of_triple(db, row.name, row.version, row.type);
    if (!all) return fail(std::move(all).error());
    for (state::Firmware& other : *all) {
      if (other.id == row.id || !can_serve(other) || !may_be_same(row, other) ||
          !query.principal->may_see(other.type, other.store_name))
        continue;
      row = std::move(other);
      break;
    }
  }
  return {};
}

// Runs `work` on the reader thread and hands its value to the reply.
template <class T, class Work>
void read(state::Database& db, Work work, Catalog::Reply<T> reply) {
  auto value = std::make_shared<std::optional<T>>();
  db.read(
      [value, work = std::move(work)](state::Reader& reader) -> Result<void> {
        Result<T> result = work(reader);
        if (!result) return fail(std::move(result).error());
        *value = std::move(*result);
        return {};
      },
      [value, reply = std::move(reply)](Result<void> outcome) {
        if (!outcome)
          reply(fail(std::move(outcome).error()));
        else
          reply(std::move(**value));
      });
}

}  // namespace

void Catalog::resolve(ResolveQuery query, Reply<std::vector<Entry>> reply) {
  read<std::vector<Entry>>(
      db_,
      [query = std::move(query), reachable = reachable_](state::Reader& db) -> Result<std::vector<Entry>> {
        const std::string& type = query.type.empty() ? query.principal->type : query.type;
        Result<std::vector<state::Firmware>> rows =
            query.version == "latest"
                ? latest(db, query, type)
                : state::resolve(db, query.name, firmware::normalise(query.version),
                                 type.empty() ? std::nullopt : std::optional<std::string_view>(type));
        if (!rows) return fail(std::move(rows).error());
        if (reachable) {
          if (auto done = fall_back(db, query, *rows, reachable); !done) return fail(std::move(done).error());
        }
        auto entries = to_entries(db, std::move(*rows), *query.principal);
        if (entries && entries->empty()) {
          return fail(Code::not_found, "no firmware " + query.name + " " + query.version +
                                           (type.empty() ? "" : " for " + type) +
                                           "; GET /firmware lists what there is");
        }
        return entries;
      },
      std::move(reply));
}

void Catalog::page(PageQuery query, Reply<Page> reply) {
  read<Page>(
      db_,
      [query = std::move(query)](state::Reader& db) -> Result<Page> {
        state::CatalogQuery rows;
        if (!query.name.empty()) rows.name = query.name;
        if (!query.type.empty()) rows.type = query.type;
        if (!query.store.empty()) rows.store = query.store;
        rows.winners_only = !query.shadowed;
        rows.limit = std::clamp<std::size_t>(query.limit, 1, state::kCatalogPage);
        if (!query.cursor.empty()) {
          rows.after = state::CatalogCursor::decode(query.cursor);
          if (!rows.after)
            return fail(Code::invalid, "cursor: not one that this gateway gave; start without");
        }
        auto page = state::page_catalog(db, rows);
        if (!page) return fail(std::move(page).error());
        auto entries = to_entries(db, std::move(page->items), *query.principal);
        if (!entries) return fail(std::move(entries).error());
        return Page{std::move(*entries), page->next ? page->next->encode() : std::string()};
      },
      std::move(reply));
}

void Catalog::get(std::int64_t id, Reply<Entry> reply) {
  read<Entry>(
      db_,
      [id](state::Reader& db) -> Result<Entry> {
        auto row = state::get_firmware(db, id);
        if (!row) return fail(std::move(row).error());
        if (!*row) return fail(Code::not_found, "that firmware is no longer in the catalog");
        return to_entry(db, std::move(**row));
      },
      std::move(reply));
}

void Catalog::by_digest(const Digest& digest, Reply<std::vector<Entry>> reply) {
  read<std::vector<Entry>>(
      db_,
      [digest](state::Reader& db) -> Result<std::vector<Entry>> {
        auto rows = state::firmware_of_digest(db, digest);
        if (!rows) return fail(std::move(rows).error());
        static const Principal kEverybody;
        return to_entries(db, std::move(*rows), kEverybody);
      },
      std::move(reply));
}

}  // namespace otagate::gateway
