#include "common/ddi/vocabulary.hpp"

#include <algorithm>

namespace otagate::common::ddi {
namespace {

constexpr std::uint64_t kLongestSleep = 99 * 3600 + 59 * 60 + 59;

std::string two_digits(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return digits.size() < 2 ? "0" + digits : digits;
}

}  // namespace

std::string_view part_name(std::string_view component) {
  return component.empty() || component == "application" ? "os" : component;
}

std::string_view component_name(std::string_view part) { return part == "os" ? "application" : part; }

std::string format_sleep(std::uint64_t seconds) {
  seconds = std::min(seconds, kLongestSleep);
  return two_digits(seconds / 3600) + ":" + two_digits(seconds / 60 % 60) + ":" + two_digits(seconds % 60);
}

std::optional<std::uint64_t> parse_sleep(std::string_view text) {
  if (text.size() != 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
  std::uint64_t seconds = 0;
  for (const std::size_t at : {0u, 3u, 6u}) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!digit(text[at]) || !digit(text[at + 1])) return std::nullopt;
    const auto number = static_cast<std::uint64_t>((text[at] - '0') * 10 + (text[at + 1] - '0'));
    if (at > 0 && number > 59) return std::nullopt;
    seconds = seconds * 60 + number;
  }
  return seconds;
}

}  // namespace otagate::common::ddi
