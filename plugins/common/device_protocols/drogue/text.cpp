#include "common/device_protocols/drogue/text.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "common/cbor/utf8.hpp"

namespace otagate::plugins::devices::drogue {
namespace {

constexpr std::size_t kAliasStem = 7;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view without_v(std::string_view version) {
  const bool marked = version.size() > 1 && (version[0] == 'v' || version[0] == 'V') && version[1] >= '0' &&
                      version[1] <= '9';
  return marked ? version.substr(1) : version;
}

}  // namespace

std::string wire_version(std::string_view version) {
  if (version.size() <= kMaxWireVersion) return std::string(version);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(version.data()), version.size(), digest.data());
  return std::string(version.substr(0, kAliasStem)) + '~' +
         hex_of({reinterpret_cast<const char*>(digest.data()), 4});
}

bool looks_like_alias(std::string_view wire) {
  return wire.size() == kMaxWireVersion && wire[kAliasStem] == '~' &&
         std::all_of(wire.begin() + kAliasStem + 1, wire.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string version_text(std::string_view wire) {
  const bool shown = cbor::is_utf8(wire) && std::none_of(wire.begin(), wire.end(), [](char c) {
                       return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
                     });
  return shown ? std::string(wire) : "0x" + hex_of(wire);
}

bool same_version(std::string_view a, std::string_view b) { return without_v(a) == without_v(b); }

std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15U];
  }
  return out;
}

std::optional<std::string> bytes_of_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit_of(hex[i]);
    const int low = digit_of(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::string base64_of(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the NUL that EVP adds
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace otagate::plugins::devices::drogue
