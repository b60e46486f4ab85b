// links: otagate_http_pure
// The Range header: 8 bytes of entity size, then the field's value.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "http/ranges.hpp"

namespace http = otagate::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t entity = 0;
  if (size < sizeof entity) return 0;
  std::memcpy(&entity, data, sizeof entity);
  const std::string_view header(reinterpret_cast<const char*>(data) + sizeof entity, size - sizeof entity);
  const http::RangeSet set = http::parse_range(header, entity);
  if ((set.outcome == http::RangeOutcome::kPartial) != (set.count > 0)) std::abort();
  if (set.count > http::kMaxRanges) std::abort();
  // Apart and inside the entity, so no more than the whole can be asked for.
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < set.count; ++i) {
    const http::ByteRange& range = set.ranges[i];
    if (range.length == 0 || range.offset >= entity || range.length > entity - range.offset) std::abort();
    if (range.length > entity - total) std::abort();
    total += range.length;
  }
  return 0;
}
