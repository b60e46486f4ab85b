// The files around a state database: names, lock, durable replacement.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/error.hpp"
#include "core/fd.hpp"

namespace otagate::state {

// "<path><suffix>": state.db-wal, state.db.lock, ...
std::filesystem::path beside(const std::filesystem::path& path, std::string_view suffix);

// A restore in the making, and one that is complete but not yet in place.
inline constexpr std::string_view kRestoreCopy = ".restore-copy";
inline constexpr std::string_view kRestoring = ".restoring";

// Exclusive for as long as the descriptor is open. Code::busy: another process (or Database) has it.
Result<UniqueFd> lock_database(const std::filesystem::path& path);

// fsync of a file or a folder by name.
Result<void> sync_path(const std::filesystem::path& path);

// Size, or 0 where there is no such file.
std::uint64_t size_or_zero(const std::filesystem::path& path);

// Renames a synced file and syncs the folder.
Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace otagate::state
