// Firmware as this transport shows it: header fields of a download, JSON of the catalog. Pure.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::http {

inline constexpr std::uint64_t kSizeUnknown = std::numeric_limits<std::uint64_t>::max();

// A copy of the host's otagate_firmware that outlives the call.
struct Firmware {
  std::uint64_t id = 0;
  std::string name;
  std::string version;
  std::string type;
  std::string format;
  std::string store;
  std::string sha256;  // 64 hex digits, or empty
  std::string tag;
  std::uint64_t size = kSizeUnknown;
  std::int64_t modified_s = 0;
  std::uint32_t verified = 0;  // OTAGATE_VERIFIED_*
  bool redirect = false;
};

// "/firmware/<name>/<version>[/<type>]", percent-encoded. With its type it names one firmware whoever asks.
std::string firmware_path(const Firmware& firmware);

// The header fields that are the same in every answer with (part of) these bytes, each ended by CRLF:
// Content-Type (left out where `multipart`), ETag, Last-Modified, Accept-Ranges, Repr-Digest and
// Content-Disposition.
std::string entity_fields(const Firmware& firmware, bool multipart);

// What a 304 has to repeat.
std::string validator_fields(const Firmware& firmware);

// {"items": [...], "next": ...}; `next` is a path to follow, or empty for null.
std::string catalog_body(const std::vector<Firmware>& items, std::string_view next);

// The body of a 300: {"choices": [...]} with the same items.
std::string choices_body(const std::vector<Firmware>& items);

// True for 64 hex digits in lower case.
bool is_sha256(std::string_view text);

// ---- multipart/byteranges (RFC 9110 section 14.6)

// The text before a part's bytes: the boundary line and the part's fields.
std::string part_head(std::string_view boundary, std::uint64_t offset, std::uint64_t length,
                      std::uint64_t size);
std::string part_tail(std::string_view boundary);

}  // namespace otagate::http
