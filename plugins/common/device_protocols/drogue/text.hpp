// Versions and bytes of the Drogue protocol as text, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace otagate::plugins::devices::drogue {

// Devices keep a version in 16 bytes.
inline constexpr std::size_t kMaxWireVersion = 16;

// What a device is told for a version: the version where it fits, else its alias: the first seven bytes, '~',
// and the first eight hex digits of the SHA-256 of all of it. The device hands it back like any other.
std::string wire_version(std::string_view version);
bool looks_like_alias(std::string_view wire);

// A version as the gateway knows it: text that can be shown as it is, else "0x" and its bytes in hex.
std::string version_text(std::string_view wire);
// The same version: a leading "v" before a digit does not count.
bool same_version(std::string_view a, std::string_view b);

std::string hex_of(std::string_view bytes);  // lower case
std::optional<std::string> bytes_of_hex(std::string_view hex);
std::string base64_of(std::string_view bytes);

}  // namespace otagate::plugins::devices::drogue
