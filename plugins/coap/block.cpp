#include "block.hpp"

#include <algorithm>

namespace otagate::coap {

std::optional<unsigned> szx_of(std::uint64_t bytes) {
  for (unsigned szx = 0; szx <= kMaxSzx; ++szx) {
    if (block_bytes(szx) == bytes) return szx;
  }
  return std::nullopt;
}

std::optional<Block> decode_block(std::span<const std::uint8_t> value) {
  if (value.size() > 3) return std::nullopt;
  std::uint32_t raw = 0;
  for (const auto byte : value) raw = raw << 8 | byte;
  const Block block{.number = raw >> 4, .more = (raw & 8U) != 0, .szx = raw & 7U};
  if (block.szx > kMaxSzx) return std::nullopt;
  return block;
}

std::size_t encode_block(const Block& block, std::span<std::uint8_t, 3> out) {
  const std::uint32_t raw = block.number << 4 | (block.more ? 8U : 0U) | block.szx;
  const auto length = uint_bytes(raw);
  for (std::size_t i = 0; i < length; ++i) {
    out[i] = static_cast<std::uint8_t>(raw >> (8 * (length - 1 - i)));
  }
  return length;
}

std::optional<Slice> cut(const Block& asked, unsigned max_szx, std::uint64_t total) {
  if (asked.szx > kMaxSzx || asked.number > kMaxBlockNumber) return std::nullopt;
  Slice slice;
  slice.offset = static_cast<std::uint64_t>(asked.number) << (asked.szx + 4);
  if (slice.offset >= total && !(asked.number == 0 && total == 0)) return std::nullopt;
  slice.reply.szx = std::min(asked.szx, max_szx);
  const auto number = slice.offset >> (slice.reply.szx + 4);
  if (number > kMaxBlockNumber) return std::nullopt;
  slice.reply.number = static_cast<std::uint32_t>(number);
  const auto left = total - slice.offset;
  slice.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, block_bytes(slice.reply.szx)));
  slice.reply.more = left > slice.length;
  return slice;
}

std::optional<unsigned> fitting_szx(std::size_t budget, std::size_t overhead, unsigned szx) {
  for (unsigned candidate = szx + 1; candidate-- > 0;) {
    if (overhead + block_bytes(candidate) <= budget) return candidate;
  }
  return std::nullopt;
}

std::size_t option_bytes(unsigned previous, unsigned number, std::size_t length) {
  const auto extended = [](std::size_t n) -> std::size_t { return n < 13 ? 0 : n < 269 ? 1 : 2; };
  return 1 + extended(number - previous) + extended(length) + length;
}

}  // namespace otagate::coap
