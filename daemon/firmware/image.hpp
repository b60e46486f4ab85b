// Image formats: what the first bytes of an image say about it, and whether the hash that MCUboot and
// ESP-IDF images carry holds. Input is hostile; every read is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"

namespace otagate::firmware {

enum class Format { unknown, mcuboot, esp_idf, uf2, intel_hex, elf, nordic_dfu, zip };
// "mcuboot", "esp-idf", "uf2", "intel-hex", "elf", "nordic-dfu", "zip"; "" for unknown.
std::string_view to_string(Format format);

// So many bytes are enough for probe(); fewer tell less.
inline constexpr std::size_t kProbeBytes = 4096;

struct ImageInfo {
  Format format = Format::unknown;
  // What the format carries, "" where it does not: MCUboot has a version, ESP-IDF all three.
  std::string name, version, type;
  bool encrypted = false;  // MCUboot: the gateway cannot check its hash
};

// Looks at the first bytes of an image. Never fails: what is malformed is of format unknown.
ImageInfo probe(std::span<const std::byte> head);

enum class Verdict {
  not_this_format,  // neither MCUboot nor ESP-IDF: nothing to check
  ok,               // the SHA-256 (or 384, 512) inside holds
  opaque,           // well formed, but without a hash that the gateway could check; see reason
  bad,              // malformed, truncated, or the hash does not hold; see reason
};

struct FormatCheck {
  Verdict verdict = Verdict::not_this_format;
  Format format = Format::unknown;
  std::string reason;  // for opaque and bad
  // MCUboot: the hash TLV, by which an SMP device names the image it runs. Hex.
  std::string image_hash;
  std::optional<std::uint32_t> security_counter;  // MCUboot, from the protected area only
  std::uint64_t covered = 0;                      // the first so many bytes are under the hash
};

// Fills the whole span from `offset` or fails. Called in ascending order except for a few small reads
// of headers and trailers; never beyond `size`.
using ReadAt = std::function<Result<void>(std::uint64_t offset, std::span<std::byte> into)>;

// Checks an image of `size` bytes by what it carries inside. An error is an error of `read`; it can
// also be used to stop early. Reads each byte at most twice, 64 KiB at a time.
Result<FormatCheck> check_format(const ReadAt& read, std::uint64_t size);

}  // namespace otagate::firmware
