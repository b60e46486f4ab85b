// What the words of a server mean for the gateway.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace otagate::common {

struct KnownCode {
  std::string_view code;
  std::uint32_t status;     // OTAGATE_*
  std::string_view advice;  // what to do, maybe nothing
};

// The entry of `code`, nullptr when there is none.
template <std::size_t size>
const KnownCode* find_code(const KnownCode (&codes)[size], std::string_view code) {
  const KnownCode* found =
      std::find_if(std::begin(codes), std::end(codes), [&](const KnownCode& k) { return k.code == code; });
  return found == std::end(codes) ? nullptr : found;
}

}  // namespace otagate::common
