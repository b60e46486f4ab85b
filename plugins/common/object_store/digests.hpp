// Hex, base64 and HMAC for signing, over OpenSSL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace otagate::common {

// Lower-case hex digits.
std::string to_hex(std::string_view bytes);

// RFC 4648, section 4, with padding.
std::string to_base64(std::string_view bytes);
// nullopt for anything that is not exactly that; an empty text is no bytes.
std::optional<std::string> from_base64(std::string_view text);

// HMAC-SHA256, 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view data);

}  // namespace otagate::common
