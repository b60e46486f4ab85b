// The Range header of RFC 9110 section 14, against an entity of known size. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otagate::http {

// More ranges than this in one request are not worth serving apart.
inline constexpr std::size_t kMaxRanges = 16;

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // never 0, never beyond the end
};

enum class RangeOutcome {
  kWhole,          // no range applies: answer 200 with everything
  kPartial,        // 206 with `ranges`
  kUnsatisfiable,  // 416
};

struct RangeSet {
  RangeOutcome outcome = RangeOutcome::kWhole;
  std::size_t count = 0;
  std::array<ByteRange, kMaxRanges> ranges{};
};

// `header` is the field's value; empty stands for a missing field. As RFC 9110 allows, a value that is
// malformed, in another unit, has more than kMaxRanges ranges or ranges that overlap is ignored: the
// answer is then the whole entity, once. Ranges that begin beyond the end are dropped; when all are, the
// outcome is kUnsatisfiable. Numbers beyond 64 bits count as "beyond the end", they never wrap.
RangeSet parse_range(std::string_view header, std::uint64_t size);

}  // namespace otagate::http
