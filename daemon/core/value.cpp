#include "core/value.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "core/redact.hpp"

namespace otagate {

namespace json = boost::json;

std::string Location::to_string() const {
  if (file.empty() && line == 0) return {};
  std::string text = file;
  if (line != 0) text += ':' + std::to_string(line);
  if (line != 0 && column != 0) text += ':' + std::to_string(column);
  return text;
}

Value::Value() : data_(nullptr) {}
Value::Value(std::nullptr_t) : data_(nullptr) {}
Value::Value(bool value) : data_(value) {}
Value::Value(int value) : data_(std::int64_t{value}) {}
Value::Value(std::int64_t value) : data_(value) {}
Value::Value(double value) : data_(value) {}
Value::Value(std::string value) : data_(std::move(value)) {}
Value::Value(std::string_view value) : data_(std::string(value)) {}
Value::Value(const char* value) : data_(std::string(value)) {}
Value::Value(Array value) : data_(std::move(value)) {}
Value::Value(Table value) : data_(std::move(value)) {}
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;

std::string_view Value::type_name() const {
  static constexpr std::string_view kNames[] = {"nothing",  "true or false", "an integer", "a number",
                                                "a string", "a list",        "a table"};
  return kNames[data_.index()];
}

const Value* Value::get(std::string_view key) const {
  const Table* table = as_table();
  if (!table) return nullptr;
  const auto member =
      std::find_if(table->begin(), table->end(), [&](const Member& m) { return m.key == key; });
  return member == table->end() ? nullptr : &member->value;
}

const Value* Value::find(std::string_view dotted_path) const {
  const Value* at = this;
  while (at) {
    const std::size_t dot = dotted_path.find('.');
    const std::string_view step = dotted_path.substr(0, dot);
    if (const Array* array = at->as_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error != std::errc{} || end != step.data() + step.size() || index >= array->size()) return nullptr;
      at = &(*array)[index];
    } else {
      at = at->get(step);
    }
    if (dot == std::string_view::npos) return at;
    dotted_path.remove_prefix(dot + 1);
  }
  return nullptr;
}

Value& Value::set(std::string key, Value value) {
  if (is_null()) data_ = Table{};
  Table& table = std::get<Table>(data_);
  const auto member = std::find_if(table.begin(), table.end(), [&](const Member& m) { return m.key == key; });
  if (member != table.end()) return member->value = std::move(value);
  table.push_back({std::move(key), std::move(value)});
  return table.back().value;
}

bool Value::operator==(const Value& other) const {
  return secret_ == other.secret_ && fingerprint_ == other.fingerprint_ && data_ == other.data_;
}

namespace {

// The tree is at most as deep as the TOML and schema adapters allow, so recursion is bounded.
json::value convert(const Value& value, bool redact, std::string_view key) {
  if (redact && value.secret()) return json::value(kRedacted);
  if (const bool* flag = value.as_bool()) return *flag;
  if (const std::int64_t* number = value.as_int()) return *number;
  if (const double* number = value.as_double()) return *number;
  if (const std::string* text = value.as_string())
    return json::value(redact ? redacted_text(key, *text) : *text);
  if (const Value::Array* array = value.as_array()) {
    json::array out;
    for (const Value& item : *array) out.push_back(convert(item, redact, key));
    return out;
  }
  if (const Value::Table* table = value.as_table()) {
    json::object out;
    for (const Member& member : *table) out[member.key] = convert(member.value, redact, member.key);
    return out;
  }
  return nullptr;
}

}  // namespace

std::string to_json(const Value& value) { return json::serialize(convert(value, false, {})); }
std::string to_redacted_json(const Value& value) { return json::serialize(convert(value, true, {})); }

}  // namespace otagate
