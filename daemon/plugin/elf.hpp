// The exported symbols of a shared object, read from its file: before it is loaded, none of its code has run.
#pragma once

#include <string>
#include <vector>

#include "core/error.hpp"

namespace otagate::plugin {

// Names of the defined, globally visible dynamic symbols. 64-bit ELF of this machine's byte order only.
// Every offset in the file is checked against its size. Reads with pread; `fd` stays the caller's.
Result<std::vector<std::string>> exported_symbols(int fd);

}  // namespace otagate::plugin
