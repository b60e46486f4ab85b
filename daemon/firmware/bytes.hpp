// Reading numbers out of hostile bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace otagate::firmware {

// Little-endian; the caller has checked that `at` + width is within `bytes`.
template <class Int>
Int little(std::span<const std::byte> bytes, std::size_t at) {
  Int value = 0;
  for (std::size_t i = sizeof(Int); i-- > 0;)
    value = static_cast<Int>(static_cast<std::uint64_t>(value) << 8 |
                             std::to_integer<std::uint8_t>(bytes[at + i]));
  return value;
}

// A fixed field that ends at its first NUL or at its end, if all of it is printable ASCII; else "".
inline std::string fixed_text(std::span<const std::byte> field) {
  std::string text;
  for (const std::byte b : field) {
    const char c = static_cast<char>(b);
    if (c == '\0') break;
    if (c < 0x20 || c > 0x7E) return {};
    text += c;
  }
  return text;
}

}  // namespace otagate::firmware
