// Reading the daemon's JSON without a check per member: what is missing reads as empty.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "output.hpp"

namespace otagate::cli {

inline const boost::json::value& member(const boost::json::value& value, std::string_view key) {
  static const boost::json::value kNull;
  const auto* object = value.if_object();
  const auto* found = object != nullptr ? object->if_contains(key) : nullptr;
  return found != nullptr ? *found : kNull;
}

// Fit for a terminal.
inline std::string text(const boost::json::value& value, std::string_view key) {
  const boost::json::value& found = member(value, key);
  return found.is_string() ? printable(std::string_view(found.as_string())) : std::string();
}

inline std::int64_t number(const boost::json::value& value, std::string_view key) {
  const boost::json::value& found = member(value, key);
  if (found.is_int64()) return found.as_int64();
  if (found.is_uint64()) return static_cast<std::int64_t>(found.as_uint64());
  return 0;
}

inline bool flag(const boost::json::value& value, std::string_view key) {
  const boost::json::value& found = member(value, key);
  return found.is_bool() && found.as_bool();
}

inline const boost::json::array& items(const boost::json::value& value, std::string_view key = "items") {
  static const boost::json::array kNone;
  const boost::json::value& found = member(value, key);
  return found.is_array() ? found.as_array() : kNone;
}

// "3.5 MiB", or "?" where the size is not known.
inline std::string size_text(const boost::json::value& value, std::string_view key) {
  return member(value, key).is_null() ? "?" : format_bytes(static_cast<std::uint64_t>(number(value, key)));
}

}  // namespace otagate::cli
