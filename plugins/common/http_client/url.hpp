// URLs: encoding, origins, and a form that may be shown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::common {

enum class EncodeSlash { yes, no };

// Everything but A-Z a-z 0-9 - . _ ~ (and '/' with EncodeSlash::no) as %XX in upper case: the single
// encoding that S3, Azure and RFC 3986 agree on. Bytes are taken as they are.
std::string percent_encode(std::string_view text, EncodeSlash slash = EncodeSlash::yes);

enum class Plus { literal, space };

// The reverse. A '%' that two hex digits do not follow stays as it is.
std::string percent_decode(std::string_view text, Plus plus = Plus::literal);

struct UrlParts {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 literal in brackets
  std::uint16_t port = 0;
  bool default_port = true;
  std::string path;  // encoded as it was, "/" when empty
  bool has_query = false;
  bool has_user = false;

  // The value of a Host header: the port only where it is not the scheme's own.
  std::string authority() const;
  std::string origin() const;  // "https://host:443": equal for the same origin
  bool loopback() const;       // by its name or literal: localhost, *.localhost, 127.0.0.0/8, ::1
};

// http and https only; anything else is OTAGATE_INVALID.
Outcome<UrlParts> parse_url(std::string_view url);

// The target of a Location header seen from `base`.
Outcome<std::string> resolve_url(const std::string& base, const std::string& location);

// Without user, query and fragment, where secrets and signatures live, and without control characters.
std::string redacted_url(std::string_view url);

// Whether it is UTF-8 throughout: no overlong forms, no surrogates, nothing above U+10FFFF.
bool valid_utf8(std::string_view text);

// Text of a peer for a message: control characters become spaces, cut at `limit` bytes at the end of a
// UTF-8 character; bytes that are no UTF-8 become '?'.
std::string printable(std::string_view text, std::size_t limit);

}  // namespace otagate::common
