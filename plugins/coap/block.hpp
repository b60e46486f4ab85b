// Block2 arithmetic (RFC 7959): pure functions, no libcoap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace otagate::coap {

inline constexpr unsigned kMaxSzx = 6;  // 1,024 bytes; 7 is reserved over UDP
inline constexpr std::uint32_t kMaxBlockNumber = 0xFFFFF;

struct Block {
  std::uint32_t number = 0;
  bool more = false;
  unsigned szx = kMaxSzx;

  friend bool operator==(const Block&, const Block&) = default;
};

constexpr std::uint32_t block_bytes(unsigned szx) { return 16U << szx; }

// The szx of a block size of 16, 32, ... 1,024 bytes; nothing for any other size.
std::optional<unsigned> szx_of(std::uint64_t bytes);

// An option's value of 0 to 3 bytes. Nothing when it is longer or uses the reserved szx 7.
std::optional<Block> decode_block(std::span<const std::uint8_t> value);

// Writes the shortest form and returns its length, 0 to 3.
std::size_t encode_block(const Block& block, std::span<std::uint8_t, 3> out);

// Which bytes answer a request. `reply.number` counts blocks of the size that is sent, which may be
// smaller than the one asked for.
struct Slice {
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  Block reply;
};

// `total`: size of the whole representation. Nothing when the block starts at or beyond its end (an
// empty representation has block 0), or when the smaller size would need a number beyond 20 bits.
std::optional<Slice> cut(const Block& asked, unsigned max_szx, std::uint64_t total);

// The largest szx, at most `szx`, whose whole message fits: `overhead` bytes without the payload.
// Nothing when not even 16 bytes fit.
std::optional<unsigned> fitting_szx(std::size_t budget, std::size_t overhead, unsigned szx);

// Bytes of one option in a message, when the previous option has the number `previous`.
std::size_t option_bytes(unsigned previous, unsigned number, std::size_t length);

// Bytes of an unsigned integer as an option's value.
constexpr std::size_t uint_bytes(std::uint64_t value) {
  std::size_t bytes = 0;
  for (; value != 0; value >>= 8) ++bytes;
  return bytes;
}

}  // namespace otagate::coap
