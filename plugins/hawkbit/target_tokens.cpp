#include "hawkbit/target_tokens.hpp"

#include <algorithm>
#include <cstddef>

namespace otagate::hawkbit {
namespace {

constexpr std::size_t kMaxToken = 1024;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

common::Outcome<TargetTokens> parse_target_tokens(std::string_view text) {
  TargetTokens tokens;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const auto* const blank = std::find_if(line.begin(), line.end(), is_blank);
    const std::string_view target = line.substr(0, static_cast<std::size_t>(blank - line.begin()));
    const std::string_view token = trimmed(line.substr(target.size()));
    const bool plain = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    const std::string where = "line " + std::to_string(number) + " of 'target_tokens' ";
    if (token.empty() || token.size() > kMaxToken || !plain)
      return common::fail(OTAGATE_INVALID, where + "is not of the form: CONTROLLER-ID TOKEN");
    if (!tokens.emplace(target, token).second)
      return common::fail(OTAGATE_INVALID, where + "names a target that is there already");
  }
  return tokens;
}

}  // namespace otagate::hawkbit
