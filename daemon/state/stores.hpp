// Stores: the configured instances of storage plugins, and where each one's sync stands.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

struct StoreConfig {
  std::string name{};
  std::string plugin{};
  int priority = 0;  // higher wins where two stores have the same firmware
};

struct Store {
  std::int64_t id = 0;
  std::string name{};
  std::string plugin{};
  int priority = 0;
  bool configured = false;         // false: gone from the config; its rows stay, its firmware is not listed
  std::string list_cursor{};       // where an interrupted listing goes on; opaque; empty: from the start
  std::int64_t sync_sequence = 0;  // grows by one with each completed listing
  std::int64_t last_sync_ms = 0;   // wall clock of the last listing's end, good or not; 0: never
  std::int64_t last_ok_ms = 0;
  std::optional<std::string> last_error{};  // of the last listing; none if it was good
  std::uint64_t requests = 0;               // since the store was first configured
  std::uint64_t body_bytes = 0;             // object bytes read from it
};

// Makes the table agree with the config: adds, updates, marks all others as not configured. Returns the
// stores in the order given. Called at start and at each reload.
Result<std::vector<Store>> set_stores(Writer& db, std::span<const StoreConfig> stores);

Result<std::vector<Store>> configured_stores(Reader& db);
Result<std::optional<Store>> find_store(Reader& db, std::string_view name);

Result<void> save_list_cursor(Writer& db, std::int64_t store, std::string_view cursor);
// A listing came to its end: forgets the cursor and the error. Returns the new sync_sequence.
Result<std::int64_t> finish_sync(Writer& db, std::int64_t store, std::int64_t wall_ms);
Result<void> fail_sync(Writer& db, std::int64_t store, std::int64_t wall_ms, std::string_view error);

// Deletes objects, with their firmware, of stores that are not configured and were last listed before that
// time (0: never listed). At most `most` in one call; returns how many. Only on a synchronised clock.
Result<std::int64_t> prune_unconfigured(Writer& db, std::int64_t before_ms, std::size_t most);

// Adds to the counters. Callers gather in memory and add now and then: one call is one row write.
Result<void> add_store_traffic(Writer& db, std::int64_t store, std::uint64_t requests,
                               std::uint64_t body_bytes);

}  // namespace otagate::state
