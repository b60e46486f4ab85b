#include "cache/checksum.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace otagate::cache {

namespace {

constexpr std::uint32_t kReversedPolynomial = 0x82f63b78;

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? kReversedPolynomial : 0);
    table[0][i] = value;
  }
  for (std::size_t slice = 1; slice < 8; ++slice)
    for (std::size_t i = 0; i < 256; ++i)
      table[slice][i] = table[slice - 1][i] >> 8 ^ table[0][table[slice - 1][i] & 0xff];
  return table;
}

constexpr Table kTable = make_table();

#if defined(__x86_64__)
bool have_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(std::uint32_t crc, const std::byte* at,
                                                                std::size_t left) {
  std::uint64_t value = crc;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    value = _mm_crc32_u64(value, word);
  }
  auto narrow = static_cast<std::uint32_t>(value);
  for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(*at));
  return narrow;
}
#elif defined(__aarch64__)
bool have_instruction() { return (::getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("+crc"))) std::uint32_t crc32c_hardware(std::uint32_t crc, const std::byte* at,
                                                              std::size_t left) {
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    crc = __crc32cd(crc, word);
  }
  for (; left > 0; ++at, --left) crc = __crc32cb(crc, std::to_integer<std::uint8_t>(*at));
  return crc;
}
#else
bool have_instruction() { return false; }
std::uint32_t crc32c_hardware(std::uint32_t crc, const std::byte*, std::size_t) { return crc; }
#endif

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes) {
  std::uint32_t value = ~crc;
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  const auto byte_at = [&at](std::size_t i) { return std::to_integer<std::uint32_t>(at[i]); };
  for (; left >= 8; at += 8, left -= 8) {
    value ^= byte_at(0) | byte_at(1) << 8 | byte_at(2) << 16 | byte_at(3) << 24;
    value = kTable[7][value & 0xff] ^ kTable[6][value >> 8 & 0xff] ^ kTable[5][value >> 16 & 0xff] ^
            kTable[4][value >> 24] ^ kTable[3][byte_at(4)] ^ kTable[2][byte_at(5)] ^ kTable[1][byte_at(6)] ^
            kTable[0][byte_at(7)];
  }
  for (; left > 0; ++at, --left) value = value >> 8 ^ kTable[0][(value ^ byte_at(0)) & 0xff];
  return ~value;
}

std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes) {
  static const bool hardware = have_instruction();
  return hardware ? ~crc32c_hardware(~crc, bytes.data(), bytes.size()) : crc32c_portable(crc, bytes);
}

}  // namespace otagate::cache
