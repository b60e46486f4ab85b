// Shows how a deployment goes on until there is nothing left to wait for.
#pragma once

#include <cstdint>

#include "commands.hpp"

namespace otagate::cli {

// On a terminal a picture that is drawn anew, else a line per change; with --json the daemon's answer per
// change. Driven by the event stream; outlives a restart of the daemon. Returns the exit code that
// outcome_of() gives.
int follow_deployment(const Context& context, std::int64_t id);

}  // namespace otagate::cli
