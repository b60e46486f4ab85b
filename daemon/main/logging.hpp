// Where log lines go: journald with fields, JSON lines, or text for a terminal.
#pragma once

#include "config/config.hpp"

namespace otagate {

// Installs the sink. With LogFormat::automatic: journald when stderr is connected to it, text on a
// terminal, JSON lines otherwise. Identical lines within 5 s are collapsed into one and a count.
void start_logging(config::LogFormat format);

// Takes over the levels; at start and on reload.
void apply_log_levels(const config::Log& log);

}  // namespace otagate
