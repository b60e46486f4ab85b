#include "oci/json.hpp"

namespace otagate::oci {

namespace json = boost::json;

std::optional<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  boost::system::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::string text_member(const json::object& object, std::string_view name, std::size_t limit) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  const json::string* text = value ? value->if_string() : nullptr;
  if (!text || text->size() > limit || text->find('\0') != json::string::npos) return {};
  return {text->data(), text->size()};
}

std::optional<std::uint64_t> size_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  if (!value) return std::nullopt;
  if (const std::int64_t* number = value->if_int64(); number && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  if (const std::uint64_t* number = value->if_uint64()) return *number;
  return std::nullopt;
}

const json::object* object_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value ? value->if_object() : nullptr;
}

const json::array* array_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value ? value->if_array() : nullptr;
}

}  // namespace otagate::oci
