// The configuration as others may see it.
#pragma once

#include <string>

#include "config/config.hpp"

namespace otagate::config {

// All effective settings as one JSON object, defaults included; secrets appear as their source
// ({"file": "/etc/otagate/token"}) or as "***". For the admin API.
std::string to_redacted_json(const Config& config);

}  // namespace otagate::config
