// How two states of an object are told apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/http_client/http_client.hpp"
#include "otagate/storage.h"

namespace otagate::web {

// What is known of a state; an empty member matches everything.
struct Validator {
  std::string etag{};         // as in the header, with quotes and W/
  std::int64_t modified = 0;  // Last-Modified, seconds since 1970
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;

  bool operator==(const Validator&) const = default;
};

// RFC 9110, 8.8.3: quoted, without control characters, and not W/: good for If-Match.
bool strong(std::string_view etag);

// Of an answer; `size` is that of the whole object. A malformed ETag is none.
Validator validator_of(const common::HttpHead& head, std::uint64_t size);

// Whether Accept-Ranges says that ranges of bytes are served.
bool takes_ranges(const common::HttpHead& head);

// Whether both may be the same bytes: no member that both have is another. Weak tags are compared without
// their W/, because then time and size decide as well.
bool same(const Validator& one, const Validator& other);

// Change tokens: "sha256:<hex>/<size>" (the listing vouches), "etag:<tag>/<size>", "date:<time>/<size>" or,
// where nothing else is known, "entry:<hash>/<size>" of the entry of the index.
std::string digest_token(std::string_view sha256, std::uint64_t size);
// By ETag, else by time; "" where the validator has neither.
std::string token_of(const Validator& validator);
std::string entry_token(std::string_view entry, std::uint64_t size);

// What a token says of the answers to come; nullopt for a text that is no token.
std::optional<Validator> parse_token(std::string_view token);

}  // namespace otagate::web
