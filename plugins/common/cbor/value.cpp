#include "common/cbor/value.hpp"

#include <cmath>
#include <limits>
#include <utility>

namespace otagate::plugins::cbor {

Value Value::integer(std::int64_t number) {
  if (number >= 0) return unsigned_of(static_cast<std::uint64_t>(number));
  return {Kind::negative_integer, static_cast<std::uint64_t>(-(number + 1)), 0, {}, {}};
}

Value Value::tagged(std::uint64_t tag, Value value) {
  Value out{Kind::tag, tag, 0, {}, {}};
  out.items.push_back(std::move(value));
  return out;
}

const Value& Value::untagged() const {
  const Value* value = this;
  while (value->kind == Kind::tag && !value->items.empty()) value = &value->items.front();
  return *value;
}

std::optional<std::uint64_t> Value::as_unsigned() const {
  if (kind != Kind::unsigned_integer) return std::nullopt;
  return number;
}

std::optional<std::int64_t> Value::as_signed() const {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (number > kMax) return std::nullopt;
  if (kind == Kind::unsigned_integer) return static_cast<std::int64_t>(number);
  if (kind == Kind::negative_integer) return -1 - static_cast<std::int64_t>(number);
  return std::nullopt;
}

const Value* Value::find(std::string_view text_key) const {
  if (kind != Kind::map) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == Kind::text && items[i].string == text_key) return &items[i + 1];
  }
  return nullptr;
}

const Value* Value::find(std::uint64_t integer_key) const {
  if (kind != Kind::map) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == Kind::unsigned_integer && items[i].number == integer_key) return &items[i + 1];
  }
  return nullptr;
}

bool operator==(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.number != b.number || a.string != b.string || a.items != b.items) return false;
  return a.real == b.real || (std::isnan(a.real) && std::isnan(b.real));
}

}  // namespace otagate::plugins::cbor
