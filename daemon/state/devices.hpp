// Rows of known devices. What the lists in them mean is the caller's; here they are JSON text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

struct DeviceRow {
  std::int64_t id = 0;
  std::string name{};
  std::string type{};
  int approval = 0;
  std::string tags{};  // JSON
  std::string transport{};
  std::string address{};
  std::int64_t first_seen_ms = 0;
  std::int64_t last_seen_ms = 0;
  std::string versions{};    // JSON
  std::string attributes{};  // JSON
  std::optional<Digest> token{};
  std::string held{};  // JSON
};

// By id. The row number is the caller's, greater than any before: see next_device().
Result<void> put_device(Writer& db, const DeviceRow& row);
// The rest of its row stays.
Result<void> seen_device(Writer& db, std::int64_t id, std::string_view transport, std::string_view address,
                         std::int64_t last_seen_ms);
Result<void> delete_device(Writer& db, std::int64_t id);

// By row number, those after `after`: a read is short, so all of them are read in pages.
Result<std::vector<DeviceRow>> page_devices(Reader& db, std::int64_t after, std::size_t limit);
// The first row number that was never used.
Result<std::int64_t> next_device(Reader& db);

}  // namespace otagate::state
