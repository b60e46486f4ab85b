// What things in a registry are called, and the keys this store makes of them. Pure.
//
// The grammar of names, tags and digests is that of the OCI distribution specification 1.1. Whatever
// passes here can stand in the path of a URL as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::oci {

inline constexpr std::size_t kMaxRepository = 255;
inline constexpr std::size_t kMaxTag = 128;
inline constexpr std::size_t kMaxKey = 1024;

bool valid_repository(std::string_view text);
bool valid_tag(std::string_view text);
// "sha256:" and 64 hex digits in lower case; other algorithms are not supported.
bool valid_digest(std::string_view text);
// The hex digits of a valid digest.
std::string_view digest_hex(std::string_view digest);
// Hex digits, with "sha256:" before them or not, in either case: as 64 in lower case, "" for anything else.
std::string sha256_of(std::string_view checksum);

// The tags under which clients keep what refers to a manifest (signatures and the like): "sha256-<hex>",
// maybe with an ending such as ".sig". They name no firmware.
bool is_referrers_tag(std::string_view tag);
// The tag of the referrers of a digest, where a server has no API for them.
std::string referrers_tag(std::string_view digest);

// An element of the option `repositories`: repository[:tag][@digest].
struct Reference {
  std::string repository{};
  std::string tag{};     // empty: all
  std::string digest{};  // not empty: pinned, whatever the tag names

  // What goes into the path of a manifest; empty when neither is set.
  const std::string& manifest() const { return digest.empty() ? tag : digest; }
  bool operator==(const Reference&) const = default;
};
common::Outcome<Reference> parse_reference(std::string_view text);

// repository[:tag][@digest][#variant][/file]: a key of this store. `variant` tells the manifests of an
// index apart, `file` the layers of one manifest.
struct Key {
  Reference of{};
  std::string variant{};
  std::string file{};

  bool operator==(const Key&) const = default;
};
std::string to_string(const Key& key);
std::optional<Key> parse_key(std::string_view text);

// A word that may stand as `variant`: other characters than letters, digits, '.', '_' and '-' become '-'.
std::string as_variant(std::string_view text);

// A tag for a version: '+' becomes '_', other characters a tag cannot have '-'; cut at kMaxTag.
std::string as_tag(std::string_view text);

}  // namespace otagate::oci
