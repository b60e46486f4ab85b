#include "common/object_store/ranges.hpp"

#include <charconv>
#include <cstring>
#include <ctime>

#include "otagate/storage.h"

namespace otagate::common {

std::string make_token(std::string_view etag, std::uint64_t size) {
  return std::string(etag) + "/" + (size == OTAGATE_SIZE_UNKNOWN ? "?" : std::to_string(size));
}

std::optional<Token> parse_token(std::string_view token) {
  const std::size_t slash = token.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view size = token.substr(slash + 1);
  const std::optional<std::uint64_t> number = size == "?" ? OTAGATE_SIZE_UNKNOWN : parse_decimal(size);
  if (!number) return std::nullopt;
  return Token{std::string(token.substr(0, slash)), *number};
}

std::string unquoted(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

std::string in_quotes(std::string_view etag) { return "\"" + std::string(etag) + "\""; }

std::string etag_of(const HttpHead& head) {
  const std::string* etag = head.find("etag");
  return etag ? unquoted(*etag) : std::string();
}

std::string byte_range(std::uint64_t offset, std::uint64_t length) {
  std::string range = "bytes=" + std::to_string(offset) + "-";
  // A length that runs past the end of numbers is one to the end of the object.
  if (length > 0 && length - 1 <= UINT64_MAX - offset) range += std::to_string(offset + length - 1);
  return range;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::uint64_t content_length(const HttpHead& head) {
  const std::string* length = head.find("content-length");
  return (length ? parse_decimal(*length) : std::nullopt).value_or(OTAGATE_SIZE_UNKNOWN);
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  if (!value.starts_with("bytes ")) return std::nullopt;
  value.remove_prefix(6);
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ContentRange range;
  range.total = OTAGATE_SIZE_UNKNOWN;
  if (value.substr(slash + 1) != "*") {
    const std::optional<std::uint64_t> total = parse_decimal(value.substr(slash + 1));
    if (!total) return std::nullopt;
    range.total = *total;
  }
  const std::string_view span = value.substr(0, slash);
  if (span == "*") return range;
  const std::size_t dash = span.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> first = parse_decimal(span.substr(0, dash));
  const std::optional<std::uint64_t> last = parse_decimal(span.substr(dash + 1));
  // An emulator's way to say that the range starts at the end.
  if (first && last && *first == range.total && *last + 1 == *first) return range;
  if (!first || !last || *last < *first || *last >= range.total) return std::nullopt;
  range.satisfied = true;
  range.first = *first;
  range.last = *last;
  return range;
}

std::int64_t parse_iso8601_ms(std::string_view text) {
  if (text.size() < 19 || text.size() > 40) return 0;
  const std::string copy(text);
  std::tm parts = {};
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!end) return 0;
  std::int64_t millis = 0;
  if (*end == '.') {
    std::int64_t scale = 100;
    for (++end; *end >= '0' && *end <= '9'; ++end, scale /= 10) millis += (*end - '0') * scale;
  }
  if (std::strcmp(end, "Z") != 0) return 0;
  return std::int64_t{timegm(&parts)} * 1000 + millis;
}

}  // namespace otagate::common
