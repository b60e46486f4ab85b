// Values -> CBOR (RFC 8949) with definite lengths and the shortest heads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/cbor/value.hpp"

namespace otagate::plugins::cbor {

// Appends; whoever begins an array or a map writes as many items as he said.
class Encoder {
 public:
  Encoder& unsigned_integer(std::uint64_t number);
  Encoder& negative_integer(std::uint64_t number);  // -1 - number
  Encoder& integer(std::int64_t number);
  Encoder& bytes(std::string_view data);
  Encoder& text(std::string_view text);
  Encoder& array(std::uint64_t items);
  Encoder& map(std::uint64_t pairs);
  Encoder& tag(std::uint64_t number);
  Encoder& boolean(bool truth);
  Encoder& null();
  Encoder& undefined();
  Encoder& real(double number);  // in four bytes where nothing is lost, else in eight
  Encoder& value(const Value& value);
  // Null for nothing.
  template <class T>
  Encoder& optional(const std::optional<T>& number) {
    return number ? unsigned_integer(*number) : null();
  }

  const std::string& data() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string encode(const Value& value);

}  // namespace otagate::plugins::cbor
