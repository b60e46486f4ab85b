// links: otagate_cbor
// CBOR from a peer. What is accepted stays within the limits, and encodes to bytes that decode to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/cbor/decoder.hpp"
#include "common/cbor/encoder.hpp"
#include "common/cbor/utf8.hpp"

namespace {

using otagate::plugins::cbor::Kind;
using otagate::plugins::cbor::Limits;
using otagate::plugins::cbor::Value;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t check(const Value& value, std::size_t depth) {
  require(depth <= 8);
  require(value.kind != Kind::text || otagate::plugins::cbor::is_utf8(value.string));
  require(value.kind != Kind::map || value.items.size() % 2 == 0);
  require(value.kind != Kind::tag || value.items.size() == 1);
  std::size_t count = 1;
  for (const auto& item : value.items) count += check(item, depth + 1);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Limits limits;
  limits.depth = 8;
  limits.items = 64;
  limits.bytes = 4096;
  const auto got = otagate::plugins::cbor::decode(text, limits);
  if (!got) {
    require(!got.message.empty());
    return 0;
  }
  require(size <= limits.bytes);
  require(check(got.value, 0) <= limits.items);
  const std::string encoded = otagate::plugins::cbor::encode(got.value);
  const auto again = otagate::plugins::cbor::decode(encoded, limits);
  require(again && again.value == got.value);
  require(otagate::plugins::cbor::encode(again.value) == encoded);
  return 0;
}
