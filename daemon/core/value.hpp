// A tree of plain values as a plugin's options are kept: what TOML and JSON have in common, each
// node with the place in the file it came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace otagate {

// A place in a configuration file; line 0 means "not from a file". Lines and columns count from 1.
struct Location {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  // "/etc/otagate/otagate.toml:12:3", or "" when there is no file.
  std::string to_string() const;
};

struct Member;

// Value type; one thread at a time. Tables keep the order of the file and have unique keys.
// Comparison looks at the content, never at the place.
class Value {
 public:
  using Array = std::vector<Value>;
  using Table = std::vector<Member>;

  Value();
  Value(std::nullptr_t);
  Value(bool value);
  Value(int value);
  Value(std::int64_t value);
  Value(double value);
  Value(std::string value);
  Value(std::string_view value);
  Value(const char* value);
  Value(Array value);
  Value(Table value);
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(data_); }
  bool is_double() const { return std::holds_alternative<double>(data_); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_table() const { return std::holds_alternative<Table>(data_); }

  // nullptr when the value is of another type.
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&data_); }
  const double* as_double() const { return std::get_if<double>(&data_); }
  const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  const Array* as_array() const { return std::get_if<Array>(&data_); }
  const Table* as_table() const { return std::get_if<Table>(&data_); }
  Array* as_array() { return std::get_if<Array>(&data_); }
  Table* as_table() { return std::get_if<Table>(&data_); }

  // "a string", "an integer", ...: for messages.
  std::string_view type_name() const;

  // By key (tables only) or by a path such as "tls.ca_file" or "hosts.0.name"; nullptr when there
  // is nothing. A key that contains a dot is reached by get().
  const Value* get(std::string_view key) const;
  const Value* find(std::string_view dotted_path) const;
  // Replaces or appends the member; a null value becomes a table first. Undefined for other types.
  Value& set(std::string key, Value value);

  const Location& where() const { return where_; }
  void set_where(Location where) { where_ = std::move(where); }

  // A resolved secret: redacted wherever a person may see it.
  bool secret() const { return secret_; }
  void mark_secret() { secret_ = true; }

  // Set on `{file=}`, `{credential=}`, `{env=}` tables when the file is loaded: a hash of what
  // they point to, so that a rotated secret makes two otherwise equal trees differ.
  const std::string& fingerprint() const { return fingerprint_; }
  void set_fingerprint(std::string fingerprint) { fingerprint_ = std::move(fingerprint); }

  bool operator==(const Value& other) const;

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Table> data_;
  Location where_;
  std::string fingerprint_;
  bool secret_ = false;
};

struct Member {
  std::string key;
  Value value;
  bool operator==(const Member&) const = default;
};

// One line of JSON. to_json contains secrets in clear: it is for the plugin and nobody else.
std::string to_json(const Value& value);
// Secrets, strings under names that promise a secret, and passwords inside URLs become "***".
std::string to_redacted_json(const Value& value);

}  // namespace otagate
