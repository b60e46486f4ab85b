// Whether bytes are text.
#pragma once

#include <string_view>

namespace otagate::plugins::cbor {

// RFC 3629: shortest form, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace otagate::plugins::cbor
