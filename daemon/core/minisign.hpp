// Signatures made by minisign (Ed25519 over the text or its BLAKE2b-512), as its manual describes them:
// https://jedisct1.github.io/minisign/#signature-format
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace otagate {

// A public key: "RW..." of 56 characters, or the two lines of a minisign.pub file.
struct MinisignKey {
  std::array<std::byte, 8> id{};
  std::array<std::byte, 32> key{};

  static Result<MinisignKey> parse(std::string_view text);
  std::string id_text() const;  // as minisign prints it: 16 hex digits, upper case
};

// The text of a .minisig file, checked: that one of `keys` made it for `message`, and that its trusted
// comment is genuine. Returns the trusted comment. Code::denied: another key, or not its signature.
Result<std::string> verify_minisign(std::span<const MinisignKey> keys, std::string_view message,
                                    std::string_view signature);

}  // namespace otagate
