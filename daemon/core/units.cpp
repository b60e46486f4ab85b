#include "core/units.hpp"

#include <array>
#include <cctype>
#include <limits>
#include <optional>
#include <utility>

namespace otagate {

namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;  // lower case
  std::uint64_t factor;
};

constexpr std::uint64_t kKi = 1024;
constexpr std::array kSizes = {
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"k", kKi},
    Unit{"m", kKi* kKi},
    Unit{"g", kKi* kKi* kKi},
    Unit{"t", kKi* kKi* kKi* kKi},
    Unit{"kib", kKi},
    Unit{"mib", kKi* kKi},
    Unit{"gib", kKi* kKi* kKi},
    Unit{"tib", kKi* kKi* kKi* kKi},
    Unit{"kb", 1'000},
    Unit{"mb", 1'000'000},
    Unit{"gb", 1'000'000'000},
    Unit{"tb", 1'000'000'000'000},
};
constexpr std::array kDurations = {
    Unit{"ms", 1},        Unit{"s", 1'000},      Unit{"m", 60'000},      Unit{"min", 60'000},
    Unit{"h", 3'600'000}, Unit{"d", 86'400'000}, Unit{"w", 604'800'000},
};
constexpr std::array kBits = {Unit{"bit", 1}, Unit{"kbit", 1'000}, Unit{"mbit", 1'000'000},
                              Unit{"gbit", 1'000'000'000}};

bool digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <std::size_t N>
std::optional<std::uint64_t> factor(const std::array<Unit, N>& units, std::string_view name) {
  std::string lower;
  for (const char c : name) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Unit& unit : units)
    if (unit.name == lower) return unit.factor;
  return std::nullopt;
}

// One "<number><unit>" off the front of `text`: the value in base units. nullopt when it is malformed
// or does not fit. A fraction has up to six digits and needs a unit; what is below a base unit is dropped.
template <std::size_t N>
std::optional<std::uint64_t> take(const std::array<Unit, N>& units, std::string_view& text) {
  std::uint64_t whole = 0, fraction = 0, scale = 1;
  std::size_t i = 0;
  for (; i < text.size() && digit(text[i]); ++i)
    if (__builtin_mul_overflow(whole, 10u, &whole) ||
        __builtin_add_overflow(whole, static_cast<unsigned>(text[i] - '0'), &whole))
      return std::nullopt;
  if (i == 0) return std::nullopt;
  if (i < text.size() && text[i] == '.') {
    const std::size_t first = ++i;
    for (; i < text.size() && digit(text[i]) && i - first < 6; ++i) {
      fraction = fraction * 10 + static_cast<unsigned>(text[i] - '0');
      scale *= 10;
    }
    if (i == first || (i < text.size() && digit(text[i]))) return std::nullopt;
  }
  while (i < text.size() && text[i] == ' ') ++i;
  const std::size_t unit_start = i;
  while (i < text.size() && std::isalpha(static_cast<unsigned char>(text[i]))) ++i;
  const std::optional<std::uint64_t> unit = factor(units, text.substr(unit_start, i - unit_start));
  if (!unit || (scale != 1 && *unit == 1)) return std::nullopt;
  std::uint64_t value = 0;
  // fraction < 10^6 and the largest factor < 2^41: the product fits.
  if (__builtin_mul_overflow(whole, *unit, &value) ||
      __builtin_add_overflow(value, fraction * *unit / scale, &value))
    return std::nullopt;
  text.remove_prefix(i);
  return value;
}

std::string quoted(std::string_view text) { return '"' + std::string(text.substr(0, 64)) + '"'; }

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::string_view rest = trimmed(text);
  const std::optional<std::uint64_t> value = take(kSizes, rest);
  if (!value || !rest.empty())
    return fail(Code::invalid, quoted(text) + R"( is not a size; write for example "20MiB", "8GB" or 4096)");
  return *value;
}

Result<milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000;  // fits in ns
  std::string_view rest = trimmed(text);
  std::uint64_t total = 0;
  bool good = !rest.empty();
  while (good && !rest.empty()) {
    const std::optional<std::uint64_t> part = take(kDurations, rest);
    good = part && !__builtin_add_overflow(total, *part, &total) && total <= kMost;
    rest = trimmed(rest);
  }
  if (!good)
    return fail(Code::invalid,
                quoted(text) + R"( is not a duration; write for example "30s", "5m", "1h30m" or "250ms")");
  return milliseconds(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  std::string_view rest = trimmed(text);
  if (rest.ends_with("/s")) {
    rest.remove_suffix(2);
    std::string_view bytes = rest, bits = rest;
    if (const auto value = take(kSizes, bytes); value && bytes.empty()) return *value;
    if (const auto value = take(kBits, bits); value && bits.empty()) return *value / 8;
  }
  return fail(Code::invalid, quoted(text) + R"( is not a rate; write for example "4MiB/s" or "10Mbit/s")");
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::pair<std::string_view, std::uint64_t> kNames[] = {
      {"TiB", kKi * kKi * kKi * kKi}, {"GiB", kKi * kKi * kKi}, {"MiB", kKi * kKi}, {"KiB", kKi}};
  for (const auto& [name, size] : kNames)
    if (bytes >= size && bytes % size == 0) return std::to_string(bytes / size) + std::string(name);
  return std::to_string(bytes) + "B";
}

std::string format_duration(milliseconds duration) {
  static constexpr std::pair<std::string_view, std::int64_t> kNames[] = {
      {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  if (rest < 0) {
    text = "-";
    rest = -rest;
  }
  for (const auto& [name, length] : kNames) {
    if (rest >= length) text += std::to_string(rest / length) + std::string(name);
    rest %= length;
  }
  return text;
}

}  // namespace otagate
