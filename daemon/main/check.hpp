// `otagated --check`: everything that can be found wrong with a configuration without starting it.
#pragma once

#include "config/config.hpp"

namespace otagate {

// Creates each store and transport as the daemon would, starts none and talks to no peer. Prints what
// is wrong to stderr and returns whether nothing is.
bool check_instances(const config::Config& config);

}  // namespace otagate
