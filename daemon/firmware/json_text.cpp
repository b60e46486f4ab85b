#include "firmware/json_text.hpp"

namespace otagate::firmware {

namespace json = boost::json;

Result<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code error;
  json::value value;
  try {
    value = json::parse(text, error, {}, options);
  } catch (const std::exception& exception) {
    return fail(Code::invalid, std::string("JSON cannot be read: ") + exception.what());
  }
  if (error) return fail(Code::invalid, "is not JSON: " + error.message());
  json::object* object = value.if_object();
  if (!object) return fail(Code::invalid, "is not a JSON object");
  return std::move(*object);
}

Result<std::optional<std::string>> text_member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || value->is_null()) return std::nullopt;
  const json::string* text = value->if_string();
  if (!text) return fail(Code::invalid, "\"" + std::string(key) + "\" is not a string");
  return std::string(text->data(), text->size());
}

}  // namespace otagate::firmware
