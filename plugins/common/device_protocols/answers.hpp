// What the protocols share in reading requests and in answering them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/device_protocols/protocol.hpp"

namespace otagate::plugins::devices {

// Whether asking again later may help.
bool try_later(std::uint32_t status);

// Rounded up; never 0, so that nobody asks without a pause.
std::uint32_t seconds_of(std::uint64_t milliseconds);

// {"error": message} with that status.
Response problem(int status, std::string_view message);
// 405 with the methods that there are: "GET", "PUT, POST".
Response method_not_allowed(std::string_view allowed);

// Digits only, at most `max`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max);

}  // namespace otagate::plugins::devices
