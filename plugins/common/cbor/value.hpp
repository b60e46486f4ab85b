// One CBOR data item (RFC 8949) as a tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::plugins::cbor {

enum class Kind : std::uint8_t {
  unsigned_integer,  // number
  negative_integer,  // -1 - number
  bytes,             // string
  text,              // string, valid UTF-8
  array,             // items
  map,               // items: key, value, key, value
  tag,               // number; items: what is tagged
  boolean,           // number: 0 or 1
  null,
  undefined,
  real,  // real
};

struct Value {
  Kind kind = Kind::undefined;
  std::uint64_t number = 0;
  double real = 0;
  std::string string{};
  std::vector<Value> items{};

  static Value unsigned_of(std::uint64_t number) { return {Kind::unsigned_integer, number, 0, {}, {}}; }
  static Value integer(std::int64_t number);
  static Value bytes(std::string_view data) { return {Kind::bytes, 0, 0, std::string(data), {}}; }
  static Value text(std::string_view text) { return {Kind::text, 0, 0, std::string(text), {}}; }
  static Value array(std::vector<Value> items) { return {Kind::array, 0, 0, {}, std::move(items)}; }
  static Value map(std::vector<Value> items) { return {Kind::map, 0, 0, {}, std::move(items)}; }
  static Value tagged(std::uint64_t tag, Value value);
  static Value boolean(bool truth) { return {Kind::boolean, truth ? 1U : 0U, 0, {}, {}}; }
  static Value null() { return {Kind::null, 0, 0, {}, {}}; }
  static Value of_real(double number) { return {Kind::real, 0, number, {}, {}}; }

  bool is(Kind what) const { return kind == what; }
  // Null or undefined: what encoders write for a member that is not there.
  bool is_nothing() const { return kind == Kind::null || kind == Kind::undefined; }
  // What is inside of all tags around it: the self-describe tag, say.
  const Value& untagged() const;
  // The integer, where it is one and fits.
  std::optional<std::uint64_t> as_unsigned() const;
  std::optional<std::int64_t> as_signed() const;
  // The value of a map's first member with that key; null where there is none or this is no map.
  const Value* find(std::string_view text_key) const;
  const Value* find(std::uint64_t integer_key) const;

  // NaN equals NaN.
  friend bool operator==(const Value& a, const Value& b);
};

}  // namespace otagate::plugins::cbor
