// links: otagate_firmware
// Path patterns: the first line is the pattern, the rest is the key.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firmware/pattern.hpp"
#include "firmware/version.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::firmware;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t newline = text.find('\n');
  const auto pattern = Pattern::compile(text.substr(0, newline));
  if (!pattern) {
    if (pattern.error().message().empty()) std::abort();
    return 0;
  }
  const std::string_view key = newline == std::string_view::npos ? "" : text.substr(newline + 1);
  const auto match = pattern->match(key);
  if (!match) return 0;
  const auto part_of_key = [&](const std::optional<std::string>& field) {
    return !field || (!field->empty() && key.find(*field) != std::string_view::npos &&
                      field->find('/') == std::string::npos);
  };
  if (!part_of_key(match->name) || !part_of_key(match->type) || !part_of_key(match->version)) std::abort();
  if (match->version && shape(*match->version) == VersionShape::none) std::abort();
  return 0;
}
