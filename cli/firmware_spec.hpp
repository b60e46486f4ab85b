// How a firmware is named on the command line: NAME[/VERSION[/TYPE]].
#pragma once

#include <string>

#include "client.hpp"
#include "core/error.hpp"

namespace otagate::cli {

inline constexpr const char* kFirmwareSpec = "NAME[/VERSION[/TYPE]]; the version is latest when left out";

// Its path in the admin API, with `action` ("/fetch") behind and the type, if any, as ?type=.
std::string firmware_path(const std::string& spec, const std::string& action);

// The one firmware that is meant; an error where several device types have it.
Result<boost::json::value> find_firmware(const Client& client, const std::string& spec);

}  // namespace otagate::cli
