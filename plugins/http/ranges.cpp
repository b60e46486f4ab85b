#include "http/ranges.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace otagate::http {
namespace {

constexpr std::string_view kUnit = "bytes";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same_unit(std::string_view name) {
  return name.size() == kUnit.size() &&
         std::equal(name.begin(), name.end(), kUnit.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

// Digits only, at least one; saturates instead of wrapping.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
  }
  return value;
}

enum class Spec { kMalformed, kBeyond, kGood };

Spec parse_spec(std::string_view spec, std::uint64_t size, ByteRange& range) {
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return Spec::kMalformed;
  const std::string_view first_text = spec.substr(0, dash);
  const std::string_view last_text = spec.substr(dash + 1);
  if (first_text.empty()) {
    const auto suffix = parse_number(last_text);
    if (!suffix) return Spec::kMalformed;
    range.length = std::min(*suffix, size);
    range.offset = size - range.length;
    return range.length == 0 ? Spec::kBeyond : Spec::kGood;
  }
  const auto first = parse_number(first_text);
  if (!first) return Spec::kMalformed;
  std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  if (!last_text.empty()) {
    const auto parsed = parse_number(last_text);
    if (!parsed || *parsed < *first) return Spec::kMalformed;
    last = *parsed;
  }
  if (*first >= size) return Spec::kBeyond;
  range.offset = *first;
  range.length = std::min(last, size - 1) - *first + 1;
  return Spec::kGood;
}

bool overlap(const RangeSet& set) {
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t j = i + 1; j < set.count; ++j) {
      const ByteRange& a = set.ranges[i];
      const ByteRange& b = set.ranges[j];
      if (a.offset < b.offset + b.length && b.offset < a.offset + a.length) return true;
    }
  }
  return false;
}

}  // namespace

RangeSet parse_range(std::string_view header, std::uint64_t size) {
  const RangeSet whole;
  const std::size_t equals = header.find('=');
  if (equals == std::string_view::npos || !same_unit(trim(header.substr(0, equals)))) return whole;

  RangeSet set;
  set.outcome = RangeOutcome::kUnsatisfiable;
  std::string_view rest = header.substr(equals + 1);
  std::size_t specs = 0;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    const std::string_view spec = trim(rest.substr(0, comma));
    if (more) rest.remove_prefix(comma + 1);
    if (spec.empty()) continue;  // RFC 9110 section 5.6.1: empty list elements are ignored
    if (++specs > kMaxRanges) return whole;
    ByteRange range;
    switch (parse_spec(spec, size, range)) {
      case Spec::kMalformed: return whole;
      case Spec::kBeyond: break;
      case Spec::kGood:
        set.ranges[set.count++] = range;
        set.outcome = RangeOutcome::kPartial;
        break;
    }
  }
  if (specs == 0 || overlap(set)) return whole;
  return set;
}

}  // namespace otagate::http
