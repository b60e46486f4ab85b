// ESP-IDF application images: header, segments, checksum and appended SHA-256 (ESP-IDF
// esp_app_format.h and esp_app_desc.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "firmware/image.hpp"

namespace otagate::firmware {

struct EspHeader {
  std::uint8_t segments = 0;
  bool hash_appended = false;
  std::string type;           // "esp32s3"; "" for a chip that is not known here
  std::string name, version;  // from the application description, if it has one
};

// The magic is a single byte, so the rest of the header must make sense too. nullopt otherwise.
std::optional<EspHeader> parse_esp(std::span<const std::byte> head);

Result<FormatCheck> check_esp(const ReadAt& read, std::uint64_t size, const EspHeader& header);

}  // namespace otagate::firmware
