// What a file is, found out without changing it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "state/database.hpp"

namespace otagate::state {

class Connection;

struct Inspection {
  bool empty = false;  // a database without content: creation was interrupted, or has not begun
  bool ours = false;   // our application id
  int schema_version = 0;
  LastRun last_run;
};

// Through a read-only connection.
Result<Inspection> inspect(Connection& connection, std::string_view boot_id);

// The findings of a check pragma ("quick_check", "integrity_check"), at most 100; none: sound.
Result<std::vector<std::string>> run_check(Connection& connection, std::string_view pragma);

// "schema version 7 is newer than ...": the message for such a file, with the way out.
std::string newer_schema_message(const std::filesystem::path& path, int version);
std::string damaged_message(const std::filesystem::path& path, std::string_view finding);

}  // namespace otagate::state
