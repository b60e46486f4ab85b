#include "config/schema.hpp"

#include <stdexcept>

// A malformed schema of a plugin must not abort the daemon: an assertion of RapidJSON becomes an
// exception, which check() turns into a violation.
#define RAPIDJSON_ASSERT(x) \
  ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON refused the schema: " #x))
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/schema.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

namespace otagate::config {

namespace {

using Node = rapidjson::Value;
constexpr std::size_t kMaxSchema = 256 << 10;
constexpr int kMaxDepth = 16;

const Node* member(const Node& node, std::string_view name) {
  const auto found = node.FindMember(Node(name.data(), static_cast<rapidjson::SizeType>(name.size())));
  return found == node.MemberEnd() ? nullptr : &found->value;
}

std::string_view text_of(const Node& node) { return {node.GetString(), node.GetStringLength()}; }

bool shallow(const Node& node, int depth = 0) {
  if (depth > kMaxDepth) return false;
  if (node.IsObject()) {
    for (const auto& entry : node.GetObject())
      if (!shallow(entry.value, depth + 1)) return false;
  } else if (node.IsArray()) {
    for (const Node& item : node.GetArray())
      if (!shallow(item, depth + 1)) return false;
  }
  return true;
}

bool has_reference(const Node& node) {
  if (node.IsObject()) {
    for (const auto& entry : node.GetObject())
      if (text_of(entry.name) == "$ref" || has_reference(entry.value)) return true;
  } else if (node.IsArray()) {
    for (const Node& item : node.GetArray())
      if (has_reference(item)) return true;
  }
  return false;
}

Value to_value(const Node& node) {
  if (node.IsBool()) return node.GetBool();
  if (node.IsInt64()) return node.GetInt64();
  if (node.IsNumber()) return node.GetDouble();
  if (node.IsString()) return std::string(text_of(node));
  if (node.IsArray()) {
    Value::Array items;
    for (const Node& item : node.GetArray()) items.push_back(to_value(item));
    return items;
  }
  if (node.IsObject()) {
    Value table = Value::Table{};
    for (const auto& entry : node.GetObject())
      table.set(std::string(text_of(entry.name)), to_value(entry.value));
    return table;
  }
  return nullptr;
}

Node to_node(const Value& value, rapidjson::Document::AllocatorType& memory) {
  if (const bool* flag = value.as_bool()) return Node(*flag);
  if (const std::int64_t* number = value.as_int()) return Node(*number);
  if (const double* number = value.as_double()) return Node(*number);
  if (const std::string* text = value.as_string())
    return Node(text->data(), static_cast<rapidjson::SizeType>(text->size()), memory);
  if (const Value::Array* array = value.as_array()) {
    Node items(rapidjson::kArrayType);
    for (const Value& item : *array) items.PushBack(to_node(item, memory), memory);
    return items;
  }
  if (const Value::Table* table = value.as_table()) {
    Node object(rapidjson::kObjectType);
    for (const Member& entry : *table)
      object.AddMember(Node(entry.key.data(), static_cast<rapidjson::SizeType>(entry.key.size()), memory),
                       to_node(entry.value, memory), memory);
    return object;
  }
  return Node();
}

std::string written(const Node& node) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  node.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

std::string type_in_words(const Node& type) {
  if (type.IsArray()) {
    std::string all;
    for (const Node& one : type.GetArray()) all += (all.empty() ? "" : " or ") + type_in_words(one);
    return all;
  }
  const std::string_view name = type.IsString() ? text_of(type) : "";
  if (name == "string") return "a text in quotes";
  if (name == "integer") return "a whole number, without quotes";
  if (name == "number") return "a number, without quotes";
  if (name == "boolean") return "true or false, without quotes";
  if (name == "array") return "a list, [...]";
  if (name == "object") return "a table, {...}";
  return std::string(name);
}

// What the violated keyword asks for, in words.
std::string wanted(const Node& schema, const std::string& keyword) {
  const Node* rule = member(schema, keyword);
  if (!rule) return "does not match the plugin's schema (" + keyword + ")";
  const std::string value = written(*rule);
  if (keyword == "type") return "must be " + type_in_words(*rule);
  if (keyword == "enum" && rule->IsArray()) {
    std::string all;
    for (const Node& one : rule->GetArray()) all += (all.empty() ? "" : ", ") + written(one);
    return "must be one of " + all;
  }
  if (keyword == "minimum") return "must be at least " + value;
  if (keyword == "maximum") return "must be at most " + value;
  if (keyword == "multipleOf") return "must be a multiple of " + value;
  if (keyword == "minLength") return "must have at least " + value + " characters";
  if (keyword == "maxLength") return "must have at most " + value + " characters";
  if (keyword == "minItems") return "must have at least " + value + " entries";
  if (keyword == "maxItems") return "must have at most " + value + " entries";
  if (keyword == "uniqueItems") return "must not have the same entry twice";
  if (keyword == "pattern") return "must match the pattern " + value;
  return "does not match the plugin's schema (" + keyword + ")";
}

const Node& as_node(const void* node) { return *static_cast<const Node*>(node); }

}  // namespace

struct Schema::Document {
  rapidjson::Document json;
};

Schema::Schema(std::unique_ptr<Document> document) : document_(std::move(document)) {}
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;
Schema::~Schema() = default;

Result<Schema> Schema::parse(std::string_view text) {
  if (text.size() > kMaxSchema) return fail(Code::invalid, "the option schema is larger than 256 KiB");
  auto document = std::make_unique<Document>();
  if (text.empty()) text = "{}";
  document->json.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document->json.HasParseError())
    return fail(Code::invalid, "the option schema is not JSON at byte " +
                                   std::to_string(document->json.GetErrorOffset()) + ": " +
                                   rapidjson::GetParseError_En(document->json.GetParseError()));
  if (!document->json.IsObject()) return fail(Code::invalid, "the option schema is not a JSON object");
  if (!shallow(document->json))
    return fail(Code::invalid, "the option schema is nested deeper than 16 levels");
  if (has_reference(document->json))
    return fail(Code::invalid, "the option schema uses $ref, which is not supported; write the part out");
  return Schema(std::move(document));
}

SchemaNode Schema::root() const { return SchemaNode(static_cast<const Node*>(&document_->json)); }

std::vector<std::string> SchemaNode::property_names() const {
  std::vector<std::string> names;
  const Node* properties = member(as_node(node_), "properties");
  if (properties && properties->IsObject())
    for (const auto& entry : properties->GetObject()) names.emplace_back(text_of(entry.name));
  return names;
}

std::optional<SchemaNode> SchemaNode::property(std::string_view name) const {
  const Node* properties = member(as_node(node_), "properties");
  const Node* found = properties && properties->IsObject() ? member(*properties, name) : nullptr;
  if (!found || !found->IsObject()) return std::nullopt;
  return SchemaNode(found);
}

std::optional<SchemaNode> SchemaNode::items() const {
  const Node* found = member(as_node(node_), "items");
  if (!found || !found->IsObject()) return std::nullopt;
  return SchemaNode(found);
}

bool SchemaNode::has_properties() const {
  const Node* type = member(as_node(node_), "type");
  return member(as_node(node_), "properties") || member(as_node(node_), "additionalProperties") ||
         (type && type->IsString() && text_of(*type) == "object");
}

bool SchemaNode::open() const {
  const Node* additional = member(as_node(node_), "additionalProperties");
  return additional && ((additional->IsBool() && additional->GetBool()) || additional->IsObject());
}

std::optional<SchemaNode> SchemaNode::additional() const {
  const Node* found = member(as_node(node_), "additionalProperties");
  if (!found || !found->IsObject()) return std::nullopt;
  return SchemaNode(found);
}

std::vector<std::string> SchemaNode::required() const {
  std::vector<std::string> names;
  const Node* found = member(as_node(node_), "required");
  if (found && found->IsArray())
    for (const Node& name : found->GetArray())
      if (name.IsString()) names.emplace_back(text_of(name));
  return names;
}

std::optional<Value> SchemaNode::default_value() const {
  const Node* found = member(as_node(node_), "default");
  if (!found) return std::nullopt;
  return to_value(*found);
}

std::string SchemaNode::description() const {
  const Node* found = member(as_node(node_), "description");
  return found && found->IsString() ? std::string(text_of(*found)) : "";
}

SchemaNode::Format SchemaNode::format() const {
  const Node* found = member(as_node(node_), "format");
  const std::string_view name = found && found->IsString() ? text_of(*found) : "";
  if (name == "secret") return Format::secret;
  if (name == "duration") return Format::duration;
  if (name == "size") return Format::size;
  if (name == "rate") return Format::rate;
  return Format::none;
}

bool SchemaNode::is_integer() const {
  const Node* type = member(as_node(node_), "type");
  return type && type->IsString() && text_of(*type) == "integer";
}

std::optional<SchemaNode::Violation> SchemaNode::check(const Value& value) const try {
  rapidjson::Document own(rapidjson::kObjectType);
  for (const auto& entry : as_node(node_).GetObject()) {
    const std::string_view name = text_of(entry.name);
    if (name == "properties" || name == "items" || name == "required" || name == "additionalProperties" ||
        name == "default")
      continue;
    own.AddMember(Node(entry.name, own.GetAllocator()), Node(entry.value, own.GetAllocator()),
                  own.GetAllocator());
  }
  rapidjson::Document document;
  to_node(value, document.GetAllocator()).Swap(document);
  const rapidjson::SchemaDocument schema(own);
  rapidjson::SchemaValidator validator(schema);
  if (document.Accept(validator)) return std::nullopt;
  Violation violation;
  rapidjson::StringBuffer pointer;
  validator.GetInvalidDocumentPointer().Stringify(pointer);
  violation.pointer.assign(pointer.GetString(), pointer.GetSize());
  const char* keyword = validator.GetInvalidSchemaKeyword();
  violation.keyword = keyword ? keyword : "";
  const Node* where = validator.GetInvalidSchemaPointer().Get(own);
  violation.message = wanted(where && where->IsObject() ? *where : own, violation.keyword);
  if (violation.keyword == "enum" && where && where->IsObject())
    if (const Node* choices = member(*where, "enum"); choices && choices->IsArray())
      for (const Node& choice : choices->GetArray())
        if (choice.IsString()) violation.choices.emplace_back(text_of(choice));
  return violation;
} catch (const std::exception& error) {
  return Violation{"", "schema", std::string("cannot be checked: ") + error.what(), {}};
}

}  // namespace otagate::config
