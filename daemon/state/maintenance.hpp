// What `otagate state check|backup|restore` does to a state file. Each call blocks for as long as the
// file is large: a worker thread or the CLI's main thread, never an I/O thread. check_file and
// backup_file open the file read-only and may be used on the file of a live daemon, from the daemon
// itself or from another process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace otagate::state {

struct CheckReport {
  int schema_version = 0;
  std::vector<std::string> problems{};  // empty: sound; at most 100
};

// PRAGMA integrity_check and foreign_key_check, application id and schema version.
// The Error is for a file that could not be read at all (absent, not a database, newer schema).
Result<CheckReport> check_file(const std::filesystem::path& path);

// Writes a consistent, compact copy of `path` to `to` (replaced atomically, mode 0600), synced and checked.
Result<void> backup_file(const std::filesystem::path& path, const std::filesystem::path& to);

// Puts the backup `from` in the place of `path` while no daemon runs (Code::busy if one does). The files
// it replaces, however damaged, are kept as "<path>.replaced-N". A backup that fails its check or has a
// newer schema is refused and nothing changes.
Result<void> restore_file(const std::filesystem::path& path, const std::filesystem::path& from);

// The first half of a restore: `copy` becomes a checked, migrated and synced copy of `from`.
Result<void> make_restorable_copy(const std::filesystem::path& from, const std::filesystem::path& copy);

}  // namespace otagate::state
