// The header fields of a download and the framing of several ranges. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "otagate/cpp/transport_host.hpp"

namespace otagate::http {

// The header fields that are the same in every answer with (part of) these bytes, each ended by CRLF:
// Content-Type (left out where `multipart`), ETag, Last-Modified, Accept-Ranges, Repr-Digest and
// Content-Disposition.
std::string entity_fields(const sdk::Firmware& firmware, bool multipart);

// What a 304 has to repeat.
std::string validator_fields(const sdk::Firmware& firmware);

// True for 64 hex digits in lower case.
bool is_sha256(std::string_view text);

// ---- multipart/byteranges (RFC 9110 section 14.6)

// The text before a part's bytes: the boundary line and the part's fields.
std::string part_head(std::string_view boundary, std::uint64_t offset, std::uint64_t length,
                      std::uint64_t size);
std::string part_tail(std::string_view boundary);

}  // namespace otagate::http
