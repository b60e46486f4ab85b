// Schema versions. A migration that has been released is never edited: a change is a new file.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/error.hpp"

namespace otagate::state {

class Connection;

struct Migration {
  int version;  // 1, 2, ... without gaps
  std::string_view name;
  std::string_view sql;
};

// Embedded at build time, ascending.
std::span<const Migration> migrations();
inline int latest_version() { return migrations().back().version; }

// PRAGMA application_id of every state database: "OTAg".
inline constexpr std::int64_t kApplicationId = 0x4f544167;

// Brings the database behind a writing connection to the latest version: each step is one transaction
// with its user_version, so an interrupted run goes on where it stopped. Foreign keys are off meanwhile,
// so that a step may rebuild a table, and are checked before each commit. Nothing happens if it is there.
Result<void> migrate(Connection& connection, std::span<const Migration> steps = migrations());

}  // namespace otagate::state
