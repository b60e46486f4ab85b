// Objects: what a store's last listing had. 100,000 of them are normal, so everything goes by pages, and a
// sync of an unchanged store writes nothing: it looks the listed keys up, notes their ids in a SeenIds,
// writes the new and the changed, and at the end deletes what it has not seen.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

inline constexpr std::size_t kObjectPage = 1000;  // keys or rows per call at most

struct Object {
  std::int64_t id = 0;
  std::int64_t store = 0;
  std::string key{};           // UTF-8, as the store names it
  std::string change_token{};  // differs whenever the bytes may (ETag, mtime+size, digest, ...)
  std::optional<std::uint64_t> size{};
  std::uint32_t flags = 0;         // of the storage ABI: ranges, ...
  std::optional<Digest> digest{};  // as claimed by the store or the metadata; not verified
  std::optional<std::int64_t> modified_ms{};
  std::string metadata{};                // packed by the caller; opaque here
  std::optional<std::string> skipped{};  // why it is not firmware; none if it is
};

// A set of object ids, one bit each. Not thread-safe.
class SeenIds {
 public:
  void add(std::int64_t id);
  bool contains(std::int64_t id) const;

 private:
  std::vector<bool> bits_;
};

// For each key its object or nullopt, in the order given; at most kObjectPage keys.
Result<std::vector<std::optional<Object>>> find_objects(Reader& db, std::int64_t store,
                                                        std::span<const std::string> keys);
Result<std::optional<Object>> find_object(Reader& db, std::int64_t store, std::string_view key);
Result<std::optional<Object>> get_object(Reader& db, std::int64_t id);

// The store's objects whose keys begin with `prefix`, in byte order, at most `limit` (bounded by
// kObjectPage). Keys only are given to `wanted`: of the others the row is not read.
Result<std::vector<std::int64_t>> find_by_prefix(Reader& db, std::int64_t store, std::string_view prefix,
                                                 std::size_t limit,
                                                 const std::function<bool(std::string_view key)>& wanted);

// The store's objects with key > after, in byte order of the keys, at most `limit` (bounded by
// kObjectPage). With only_skipped, those that are not firmware.
Result<std::vector<Object>> page_objects(Reader& db, std::int64_t store, std::string_view after,
                                         std::size_t limit, bool only_skipped = false);

// How many of the next `limit` index entries with key > after there are; `next` is the `after` of the next
// call, nullopt at the end. With only_skipped, of those that are not firmware.
struct CountPage {
  std::uint64_t count = 0;
  std::optional<std::string> next{};
};
Result<CountPage> count_objects(Reader& db, std::int64_t store, std::string_view after, std::size_t limit,
                                bool only_skipped = false);

// Inserts or replaces by (store, key); `object.id` is ignored. Returns the row's id, which stays the same
// for a key as long as the object exists. Its firmware rows are left to the caller.
Result<std::int64_t> put_object(Writer& db, const Object& object);

// Says why an object is not firmware, or that it is.
Result<void> set_skipped(Writer& db, std::int64_t id, const std::optional<std::string>& skipped);

// Deletes an object and its firmware rows.
Result<void> delete_object(Writer& db, std::int64_t id);

// Of the store's next `limit` objects with key > after, those that are not in `seen`: the vanished. `next`
// is the `after` of the next call, nullopt at the end. A page may be empty while next is not.
struct VanishedPage {
  std::vector<Object> objects{};
  std::optional<std::string> next{};
};
Result<VanishedPage> page_vanished(Reader& db, std::int64_t store, std::string_view after,
                                   const SeenIds& seen, std::size_t limit = kObjectPage);

}  // namespace otagate::state
