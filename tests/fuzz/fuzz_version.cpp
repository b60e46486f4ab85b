// links: otagate_firmware
// Three versions, one a line: their order must be one.
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firmware/identity.hpp"
#include "firmware/version.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::firmware;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::array<std::string_view, 3> versions;
  for (std::string_view& version : versions) {
    const std::size_t newline = text.find('\n');
    version = text.substr(0, newline);
    text = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);
    (void)check_version(version);
    (void)is_prerelease(version);
  }
  const auto& [a, b, c] = versions;
  const auto require = [](bool good) {
    if (!good) std::abort();
  };
  const std::partial_ordering ab = compare(a, b), ba = compare(b, a), bc = compare(b, c), ac = compare(a, c);
  require(compare(a, a) == std::partial_ordering::equivalent && same(a, a));
  require((ab < 0) == (ba > 0) && (ab == 0) == (ba == 0));
  require(same(a, b) == same(b, a));
  if (same(a, b)) require(ab == 0);
  if (ab < 0 && bc < 0) require(ac < 0);
  if (ab == 0 && bc == 0) require(ac == 0);
  return 0;
}
