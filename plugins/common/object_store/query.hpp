// The query of a URL, as signatures want it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace otagate::common {

// Names and values as they are, not encoded.
using Params = std::vector<std::pair<std::string, std::string>>;

// Encoded, and sorted by encoded name and value.
std::string query_string(const Params& query);

}  // namespace otagate::common
