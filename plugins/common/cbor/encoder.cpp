#include "common/cbor/encoder.hpp"

#include <array>
#include <cmath>
#include <cstddef>

#include <cbor.h>

namespace otagate::plugins::cbor {
namespace {

// A head is at most nine bytes.
template <class Write>
void append_head(std::string& out, Write write) {
  std::array<unsigned char, 9> head{};
  const std::size_t length = write(head.data(), head.size());
  out.append(reinterpret_cast<const char*>(head.data()), length);
}

}  // namespace

Encoder& Encoder::unsigned_integer(std::uint64_t number) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_uint(number, to, room); });
  return *this;
}

Encoder& Encoder::negative_integer(std::uint64_t number) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_negint(number, to, room); });
  return *this;
}

Encoder& Encoder::integer(std::int64_t number) { return value(Value::integer(number)); }

Encoder& Encoder::bytes(std::string_view data) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_bytestring_start(data.size(), to, room); });
  out_.append(data);
  return *this;
}

Encoder& Encoder::text(std::string_view text) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_string_start(text.size(), to, room); });
  out_.append(text);
  return *this;
}

Encoder& Encoder::array(std::uint64_t items) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_array_start(items, to, room); });
  return *this;
}

Encoder& Encoder::map(std::uint64_t pairs) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_map_start(pairs, to, room); });
  return *this;
}

Encoder& Encoder::tag(std::uint64_t number) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_tag(number, to, room); });
  return *this;
}

Encoder& Encoder::boolean(bool truth) {
  append_head(out_, [&](auto* to, auto room) { return cbor_encode_bool(truth, to, room); });
  return *this;
}

Encoder& Encoder::null() {
  append_head(out_, [](auto* to, auto room) { return cbor_encode_null(to, room); });
  return *this;
}

Encoder& Encoder::undefined() {
  append_head(out_, [](auto* to, auto room) { return cbor_encode_undef(to, room); });
  return *this;
}

Encoder& Encoder::real(double number) {
  // Past the range of a float the conversion itself is undefined.
  const bool small = std::isnan(number) || std::isinf(number) || std::fabs(number) <= 3.4028234663852886e38;
  const float narrow = small ? static_cast<float>(number) : 0.0F;
  if (small && (std::isnan(number) || static_cast<double>(narrow) == number)) {
    append_head(out_, [&](auto* to, auto room) { return cbor_encode_single(narrow, to, room); });
  } else {
    append_head(out_, [&](auto* to, auto room) { return cbor_encode_double(number, to, room); });
  }
  return *this;
}

Encoder& Encoder::value(const Value& value) {
  switch (value.kind) {
    case Kind::unsigned_integer: return unsigned_integer(value.number);
    case Kind::negative_integer: return negative_integer(value.number);
    case Kind::bytes: return bytes(value.string);
    case Kind::text: return text(value.string);
    case Kind::array: array(value.items.size()); break;
    case Kind::map: map(value.items.size() / 2); break;
    case Kind::tag: tag(value.number); break;
    case Kind::boolean: return boolean(value.number != 0);
    case Kind::null: return null();
    case Kind::undefined: return undefined();
    case Kind::real: return real(value.real);
  }
  for (const auto& item : value.items) this->value(item);
  return *this;
}

std::string encode(const Value& value) {
  Encoder out;
  out.value(value);
  return out.take();
}

}  // namespace otagate::plugins::cbor
