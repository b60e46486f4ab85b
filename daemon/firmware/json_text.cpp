#include "firmware/json_text.hpp"

#include <boost/json.hpp>
#include <utility>

namespace otagate::firmware {

namespace json = boost::json;

struct JsonObject::Members {
  json::object object;

  // nullptr when it is absent or null.
  const json::value* find(std::string_view key) const {
    const json::value* value = object.if_contains(key);
    return value && !value->is_null() ? value : nullptr;
  }
};

JsonObject::JsonObject(std::unique_ptr<Members> members) : members_(std::move(members)) {}
JsonObject::JsonObject(JsonObject&&) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
JsonObject::~JsonObject() = default;

Result<JsonObject> JsonObject::parse(std::string_view text) {
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
  return JsonObject(std::make_unique<Members>(Members{std::move(*object)}));
}

Result<std::optional<std::string>> JsonObject::text(std::string_view key) const {
  const json::value* value = members_->find(key);
  if (!value) return std::nullopt;
  const json::string* text = value->if_string();
  if (!text) return fail(Code::invalid, "\"" + std::string(key) + "\" is not a string");
  return std::string(text->data(), text->size());
}

Result<std::optional<std::uint64_t>> JsonObject::size(std::string_view key) const {
  const json::value* value = members_->find(key);
  if (!value) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0) return static_cast<std::uint64_t>(value->get_int64());
  return fail(Code::invalid, "\"" + std::string(key) + "\" is not a number of bytes");
}

Result<std::optional<bool>> JsonObject::boolean(std::string_view key) const {
  const json::value* value = members_->find(key);
  if (!value) return std::nullopt;
  if (!value->is_bool()) return fail(Code::invalid, "\"" + std::string(key) + "\" is neither true nor false");
  return value->get_bool();
}

Result<std::optional<std::vector<JsonObject>>> JsonObject::objects(std::string_view key,
                                                                   std::size_t most) const {
  const json::value* value = members_->find(key);
  if (!value) return std::nullopt;
  const json::array* array = value->if_array();
  if (!array) return fail(Code::invalid, "\"" + std::string(key) + "\" is not an array");
  if (array->size() > most)
    return fail(Code::invalid,
                "\"" + std::string(key) + "\" has more than " + std::to_string(most) + " items");
  std::vector<JsonObject> objects;
  objects.reserve(array->size());
  for (const json::value& item : *array) {
    const json::object* object = item.if_object();
    if (!object) return fail(Code::invalid, "an item of \"" + std::string(key) + "\" is not an object");
    objects.push_back(JsonObject(std::make_unique<Members>(Members{*object})));
  }
  return objects;
}

}  // namespace otagate::firmware
