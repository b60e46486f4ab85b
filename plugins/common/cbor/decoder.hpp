// Bytes from a peer -> one CBOR data item.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/cbor/value.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::plugins::cbor {

// What a peer may make us keep. Memory is taken for what has arrived, never for what a length announces.
struct Limits {
  std::size_t bytes = 64UL * 1024;  // of the whole encoding
  std::size_t items = 4096;         // data items in all: elements, keys, values, tags, pieces of strings
  std::size_t depth = 16;           // arrays, maps and tags within one another
};

// The one item that the bytes are. OTAGATE_INVALID with the offset and what is wrong there when they are not
// well-formed, when a text is not UTF-8, when anything follows the item, or when it is beyond the limits.
// Accepted: definite and indefinite lengths, integers and lengths in any width, all floats, tags around
// anything. Not accepted: simple values other than false, true, null and undefined.
sdk::Outcome<Value> decode(std::string_view bytes, const Limits& limits = {});

}  // namespace otagate::plugins::cbor
