// What a firmware is called: the strings that appear in URLs, files and the catalog, and their rules.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate::firmware {

inline constexpr std::size_t kMaxName = 128;    // bytes
inline constexpr std::size_t kMaxVersion = 64;  // bytes
inline constexpr std::size_t kMaxType = 64;     // bytes
inline constexpr std::size_t kMaxKey = 1024;    // bytes of an object key

enum class Kind { firmware, software, patch };
std::string_view to_string(Kind kind);
std::optional<Kind> parse_kind(std::string_view text);

// (name, version, type) names a firmware; kind and dependency say to whom it may be offered.
struct Identity {
  std::string name;
  std::string version;  // without a leading "v"
  std::string type;     // device type; "" where no source names one
  Kind kind = Kind::firmware;
  std::string dependency;  // version a device must run; patches only

  bool operator==(const Identity&) const = default;
};

// 1 to kMaxX bytes of well-formed UTF-8 without '/', '\', control characters or surrounding space,
// and not "." or "..". The error says which of it is broken. "latest" is no version.
Result<void> check_name(std::string_view name);
Result<void> check_version(std::string_view version);
Result<void> check_type(std::string_view type);

// Well-formed UTF-8 (RFC 3629: shortest form, no surrogates).
bool valid_utf8(std::string_view text);

}  // namespace otagate::firmware
