// Why a state database could not be opened, and what the process exits with then.
#pragma once

#include "core/error.hpp"

namespace otagate::state {

// Exit codes of otagated (and of `otagate state ...`), documented in otagated(8). The unit lists them in
// RestartPreventExitStatus=: starting again does not help.
inline constexpr int kExitStateUnusable = 80;  // cannot be created or read: permissions, I/O error, full disk
inline constexpr int kExitStateCorrupt = 81;   // not a database of ours, or damaged
inline constexpr int kExitStateNewer = 82;     // written by a newer otagate
inline constexpr int kExitStateInUse = 83;     // another otagated has it open

// The Error names the file and the command to run; the file was left as it is.
struct OpenError {
  int exit_code;
  Error error;
};

}  // namespace otagate::state
