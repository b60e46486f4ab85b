// What the host answered, in the words of HTTP. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/problem.hpp"

namespace otagate::http {

// For a call that did not end with OTAGATE_OK. `known_peer`: the request carried a good credential, so
// a refusal is not about who asks but about what.
Problem problem_of(std::uint32_t status, std::uint64_t retry_after_ms, std::string_view message,
                   bool known_peer);

}  // namespace otagate::http
