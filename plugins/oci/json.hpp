// JSON of a registry through Boost.JSON: bounded, and without exceptions. For .cpp files only.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace otagate::oci {

inline constexpr std::size_t kMaxJsonDepth = 16;

// nullopt when `text` is no JSON object of at most kMaxJsonDepth levels.
std::optional<boost::json::object> parse_object(std::string_view text);

// "" when the member is not there, no string, longer than `limit` bytes, or holds a NUL.
std::string text_member(const boost::json::object& object, std::string_view name, std::size_t limit);
// nullopt when the member is not there or no number that fits.
std::optional<std::uint64_t> size_member(const boost::json::object& object, std::string_view name);
// nullptr when the member is not there or none.
const boost::json::object* object_member(const boost::json::object& object, std::string_view name);
const boost::json::array* array_member(const boost::json::object& object, std::string_view name);

}  // namespace otagate::oci
