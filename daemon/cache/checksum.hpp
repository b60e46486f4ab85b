// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of a chunk in a fill's map. Chosen over CRC-32
// because x86 (SSE 4.2) and ARMv8 compute it in hardware, many times faster than the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace otagate::cache {

// Continues `crc` (0 to start with) over `bytes`.
std::uint32_t crc32c(std::uint32_t crc, std::span<const std::byte> bytes);

// The table version, for machines without the instruction; the tests compare the two.
std::uint32_t crc32c_portable(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace otagate::cache
