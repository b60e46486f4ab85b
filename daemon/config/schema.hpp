// Adapter to RapidJSON's schema validator: keeps its headers, and its way to assert, in one file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/value.hpp"

namespace otagate::config {

// One node of a plugin's JSON Schema. Views into a Schema: must not outlive it.
class SchemaNode {
 public:
  enum class Format { none, secret, duration, size, rate };

  std::vector<std::string> property_names() const;
  std::optional<SchemaNode> property(std::string_view name) const;
  std::optional<SchemaNode> items() const;
  bool has_properties() const;
  // Whether a property that is not declared is accepted, and what it must be if the schema says so.
  bool open() const;
  std::optional<SchemaNode> additional() const;
  std::vector<std::string> required() const;
  std::optional<Value> default_value() const;
  std::string description() const;
  Format format() const;
  bool is_integer() const;

  // Checks the value against this node's own keywords: not against properties, items, required,
  // additionalProperties and format, which the caller walks itself. The first violation, or nullopt.
  struct Violation {
    std::string pointer;  // within the value, JSON pointer
    std::string keyword;  // "type", "minimum", ...
    std::string message;  // what the schema wants: "must be one of ..."
    std::vector<std::string> choices;
  };
  std::optional<Violation> check(const Value& value) const;

 private:
  friend class Schema;
  explicit SchemaNode(const void* node) : node_(node) {}
  const void* node_;  // a rapidjson::Value that is an object
};

// A parsed schema; immutable. At most 256 KiB and 16 levels.
class Schema {
 public:
  static Result<Schema> parse(std::string_view text);
  Schema(Schema&&) noexcept;
  Schema& operator=(Schema&&) noexcept;
  ~Schema();

  SchemaNode root() const;

 private:
  struct Document;
  explicit Schema(std::unique_ptr<Document> document);
  std::unique_ptr<Document> document_;
};

}  // namespace otagate::config
