// Small things about text that comes from configurations and servers.
#pragma once

#include <string>
#include <string_view>

namespace otagate::common {

// ASCII only.
inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace otagate::common
