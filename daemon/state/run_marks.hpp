// The marks a run leaves in the database, from which the next one knows how it ended.
#pragma once

#include <string>
#include <string_view>

#include "core/error.hpp"
#include "state/database.hpp"

namespace otagate::state {

class Connection;

// The kernel's id of this boot; empty where /proc has none.
std::string kernel_boot_id();

// What the last run left behind. A database without marks counts as not clean.
Result<LastRun> read_marks(Connection& connection, std::string_view boot_id);
// From here on this run counts as not ended.
Result<void> mark_running(Connection& connection, std::string_view boot_id);
// All is on disk. Refused by a connection that has seen damage.
Result<void> mark_clean(Connection& connection);

}  // namespace otagate::state
