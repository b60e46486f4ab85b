// Adapter to Boost.JSON for small documents from others: bounded depth, no exception out.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::firmware {

// A JSON object of at most 8 levels.
Result<boost::json::object> parse_object(std::string_view text);

// The text under a key: nullopt when it is absent or null, an error when it is no string.
Result<std::optional<std::string>> text_member(const boost::json::object& object, std::string_view key);

}  // namespace otagate::firmware
