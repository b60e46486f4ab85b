// Small facts the daemon keeps about itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "state/query.hpp"

namespace otagate::state {

Result<std::optional<std::string>> get_setting(Reader& db, std::string_view key);
Result<void> put_setting(Writer& db, std::string_view key, std::string_view value);
Result<void> delete_setting(Writer& db, std::string_view key);

// The latest synchronised wall time ever seen, ms; 0: none. No true time is before it.
Result<std::int64_t> time_floor(Reader& db);
// Raises it; a lower value changes nothing. Call only with a synchronised clock, now and then.
Result<void> raise_time_floor(Writer& db, std::int64_t wall_ms);

}  // namespace otagate::state
