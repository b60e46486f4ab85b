// Adapter to toml++: text in, Value tree with places out.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "core/problem.hpp"
#include "core/value.hpp"

namespace otagate {

inline constexpr std::size_t kMaxFile = 1 << 20;  // bytes

// The whole document as a table. Dates and times become strings; nan and inf are refused.
// Bounded: kMaxFile bytes, 32 levels.
tl::expected<Value, Problem> parse_toml(std::string_view text, const std::string& file);

}  // namespace otagate
