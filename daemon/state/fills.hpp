// Fills in progress. Written when one starts and when it ends, never in between: how far it is stands in
// its map file.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "state/query.hpp"
#include "state/versions.hpp"

namespace otagate::state {

struct Fill {
  std::int64_t id = 0;  // names fills/<id>.part and .map; never used twice
  VersionKey version{};
  std::int64_t generation = 1;
  std::optional<Digest> expected_digest{};
  std::optional<std::uint64_t> size{};
  std::int64_t started_ms = 0;
};

// `fill.id` is ignored; returns the new one. One fill per object version: Code::busy if it has one.
Result<std::int64_t> start_fill(Writer& db, const Fill& fill);
// Good, failed or given up: the row goes. Deleting one that is not there is no error.
Result<void> end_fill(Writer& db, std::int64_t id);
// All, oldest first: what a restart resumes. At most 10,000.
Result<std::vector<Fill>> open_fills(Reader& db);

}  // namespace otagate::state
