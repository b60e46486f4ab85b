#include <array>
#include <charconv>
#include <span>

#include "state/firmware.hpp"

namespace otagate::state {

namespace {

// Fields are separated by '.', which base64url-free text may contain: so the three texts go as hex.
std::string hex(std::string_view text) { return to_hex(std::as_bytes(std::span(text.data(), text.size()))); }

std::optional<std::string> unhex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return std::nullopt;
    bytes.push_back(static_cast<char>(value));
  }
  return bytes;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

constexpr std::size_t kLongest = 4096;

}  // namespace

std::string CatalogCursor::encode() const {
  return hex(name) + '.' + hex(version) + '.' + hex(type) + '.' + std::to_string(store) + '.' +
         std::to_string(id);
}

std::optional<CatalogCursor> CatalogCursor::decode(std::string_view text) {
  if (text.size() > kLongest) return std::nullopt;
  std::array<std::string_view, 5> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t end = i + 1 < fields.size() ? text.find('.') : text.size();
    if (end == std::string_view::npos) return std::nullopt;
    fields[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const auto name = unhex(fields[0]);
  const auto version = unhex(fields[1]);
  const auto type = unhex(fields[2]);
  const auto store = number(fields[3]);
  const auto id = number(fields[4]);
  if (!name || !version || !type || !store || !id) return std::nullopt;
  return CatalogCursor{*name, *version, *type, *store, *id};
}

}  // namespace otagate::state
