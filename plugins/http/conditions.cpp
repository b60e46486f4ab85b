#include "http/conditions.hpp"

#include <array>
#include <cstring>
#include <ctime>

namespace otagate::http {
namespace {

void skip_separators(std::string_view& list) {
  while (!list.empty() && (list.front() == ' ' || list.front() == '\t' || list.front() == ',')) {
    list.remove_prefix(1);
  }
}

// Whether `list` (1#entity-tag or "*") names the tag. `strong`: weak entries do not count.
bool list_matches(std::string_view list, std::string_view tag, bool strong) {
  skip_separators(list);
  if (list.starts_with('*')) return true;
  while (!list.empty()) {
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    if (list.substr(1, end - 1) == tag && !(weak && strong)) return true;
    list.remove_prefix(end + 1);
    skip_separators(list);
  }
  return false;
}

constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void put_digits(char* out, int value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

Verdict evaluate(const Conditions& conditions, const Validators& validators) {
  if (!conditions.if_match.empty()) {
    if (!list_matches(conditions.if_match, validators.tag, true)) return Verdict::kPreconditionFailed;
  } else if (!conditions.if_unmodified_since.empty() && validators.modified_s != 0) {
    const auto date = parse_date(conditions.if_unmodified_since);
    if (date && validators.modified_s > *date) return Verdict::kPreconditionFailed;
  }
  if (!conditions.if_none_match.empty()) {
    if (list_matches(conditions.if_none_match, validators.tag, false)) return Verdict::kNotModified;
  } else if (!conditions.if_modified_since.empty() && validators.modified_s != 0) {
    const auto date = parse_date(conditions.if_modified_since);
    if (date && validators.modified_s <= *date) return Verdict::kNotModified;
  }
  return Verdict::kProceed;
}

bool range_applies(std::string_view if_range, const Validators& validators) {
  if (if_range.empty()) return true;
  if (if_range.starts_with('"') || if_range.starts_with("W/")) {
    return list_matches(if_range, validators.tag, true);
  }
  const auto date = parse_date(if_range);
  return date && validators.modified_s != 0 && *date == validators.modified_s;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
  std::array<char, 64> copy{};
  if (text.size() >= copy.size()) return std::nullopt;
  std::memcpy(copy.data(), text.data(), text.size());
  // In order: IMF-fixdate, RFC 850, asctime. The program never leaves the "C" locale's names.
  for (const char* form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
    std::tm parts{};
    const char* end = strptime(copy.data(), form, &parts);
    if (end == nullptr || *end != '\0' || end != copy.data() + text.size()) continue;
    return static_cast<std::int64_t>(timegm(&parts));
  }
  return std::nullopt;
}

void format_date(std::int64_t seconds, char* out) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", kDateSize);
  std::memcpy(out, kDays[static_cast<std::size_t>(parts.tm_wday)], 3);
  put_digits(out + 5, parts.tm_mday, 2);
  std::memcpy(out + 8, kMonths[static_cast<std::size_t>(parts.tm_mon)], 3);
  put_digits(out + 12, parts.tm_year + 1900, 4);
  put_digits(out + 17, parts.tm_hour, 2);
  put_digits(out + 20, parts.tm_min, 2);
  put_digits(out + 23, parts.tm_sec, 2);
}

}  // namespace otagate::http
