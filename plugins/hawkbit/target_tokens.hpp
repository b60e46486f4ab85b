// Security tokens of single targets.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::hawkbit {

// Token of each target by its controller id.
using TargetTokens = std::map<std::string, std::string, std::less<>>;

// "<controller id> <token>" a line; empty lines and lines that begin with '#' do not count. A message names
// the line and shows nothing of it.
common::Outcome<TargetTokens> parse_target_tokens(std::string_view text);

}  // namespace otagate::hawkbit
