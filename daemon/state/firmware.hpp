// Firmware: the catalog, (name, version, device type) -> object and, once filled, blob.
//
// Where several rows have one triple, one wins: higher store priority, then the store configured first,
// then the store's own newest. The others are `shadowed`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

// How far the bytes were checked; each includes those before it in this list only by policy.
enum class Verified : int { none = 0, length = 1, format = 2, digest = 3, signature = 4 };
std::string_view to_string(Verified level);  // "none", "length", ...

struct Firmware {
  std::int64_t id = 0;
  std::int64_t object = 0;
  std::int64_t store = 0;
  std::string name{};
  std::string version{};
  std::string type{};
  std::string kind = "firmware";            // or "software", "patch"
  std::optional<std::string> dependency{};  // of a patch: the version it applies to
  std::string format{};                     // "mcuboot", "esp-idf", "" where unknown
  std::optional<std::uint64_t> size{};
  std::optional<Digest> expected_digest{};  // from metadata, index or operator; binding
  std::optional<Digest> blob{};             // once the bytes were verified; stays when they are evicted
  Verified verified = Verified::none;
  std::int64_t sequence = 0;  // the store's own order, newest highest
  // Joined on reading, ignored on writing:
  std::string store_name{};
  int store_priority = 0;
  std::string key{};
  std::string change_token{};
  std::uint32_t object_flags = 0;
  bool cached = false;    // the blob is here and sound
  bool shadowed = false;  // another row of the triple wins
  bool conflict = false;  // another row of the triple has another digest
};

// The winner of each type that has this name and version, by type; with `type`, of that one. Empty: not
// found; more than one: the caller chooses or answers 300 with the choices. At most 64.
Result<std::vector<Firmware>> resolve(Reader& db, std::string_view name, std::string_view version,
                                      std::optional<std::string_view> type);

// Catalog order: (name, version, type, store, id), text compared by bytes; SemVer order is the caller's.
struct CatalogCursor {
  std::string name{};
  std::string version{};
  std::string type{};
  std::int64_t store = 0;
  std::int64_t id = 0;

  std::string encode() const;  // printable, for `next`; <= 4 KiB for names within bounds
  static std::optional<CatalogCursor> decode(std::string_view text);
};

struct CatalogQuery {
  std::optional<std::string> name{};
  std::optional<std::string> type{};
  std::optional<std::string> store{};
  bool winners_only = false;  // leave out what is shadowed
  std::optional<CatalogCursor> after{};
  std::size_t limit = 100;  // bounded by kCatalogPage
};
inline constexpr std::size_t kCatalogPage = 1000;

struct CatalogPage {
  std::vector<Firmware> items{};
  std::optional<CatalogCursor> next{};  // none: this was the last page
};
Result<CatalogPage> page_catalog(Reader& db, const CatalogQuery& query);

// Of the `limit` rows with id > after, those of the store whose bytes are not in the cache. `next` is the
// `after` of the next call, nullopt at the end; a page may be empty while next is not.
struct UncachedPage {
  struct Item {
    std::int64_t id = 0;
    std::optional<std::uint64_t> size{};
  };
  std::vector<Item> items{};
  std::optional<std::int64_t> next{};
};
Result<UncachedPage> page_uncached(Reader& db, std::int64_t store, std::int64_t after, std::size_t limit);

Result<std::optional<Firmware>> get_firmware(Reader& db, std::int64_t id);
Result<std::vector<Firmware>> firmware_of_object(Reader& db, std::int64_t object);
// Rows whose blob is `digest`, else whose expected digest is: who may see /blobs/sha256/<hex>. At most 64.
Result<std::vector<Firmware>> firmware_of_digest(Reader& db, const Digest& digest);

// All rows of one triple, winner first: where they conflict, who has what. At most 64.
Result<std::vector<Firmware>> firmware_of_triple(Reader& db, std::string_view name, std::string_view version,
                                                 std::string_view type);

// How many rows there are of one triple, of whatever store: most of the time one.
Result<std::uint64_t> count_triple(Reader& db, std::string_view name, std::string_view version,
                                   std::string_view type);

// Inserts or updates by (object, name, version, type); returns the row's id.
Result<std::int64_t> put_firmware(Writer& db, const Firmware& firmware);
// Deletes the object's rows except those whose ids are given.
Result<void> keep_firmware(Writer& db, std::int64_t object, std::span<const std::int64_t> ids);

// After a fill: every row of that object gets the blob, its size and the level.
Result<void> set_blob(Writer& db, std::int64_t object, const Digest& blob, std::uint64_t size,
                      Verified verified);
}  // namespace otagate::state
