// MCUboot images: header, TLV trailer and the hash in it (mcu-tools/mcuboot, docs/design.md and image.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "firmware/image.hpp"

namespace otagate::firmware {

struct McubootHeader {
  std::uint32_t header_size = 0;
  std::uint32_t image_size = 0;
  std::uint32_t protected_size = 0;  // of the protected TLV area, its info header included
  std::uint32_t flags = 0;
  std::string version;  // "1.2.3+4"; without a build number of 0

  bool encrypted() const { return flags & 0xC; }
  // Bytes under the hash: at most 2^32 + 2^17, so no sum of these overflows 64 bits.
  std::uint64_t covered() const { return std::uint64_t{header_size} + image_size + protected_size; }
};

// nullopt when the bytes are no MCUboot header.
std::optional<McubootHeader> parse_mcuboot(std::span<const std::byte> head);

Result<FormatCheck> check_mcuboot(const ReadAt& read, std::uint64_t size, const McubootHeader& header);

}  // namespace otagate::firmware
