// links: otagate_device_protocols
// A report from a device as JSON: what is accepted is within its bounds, what is not is refused with a text
// that can be shown.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/device_protocols/poll/report.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::plugins::devices::poll;
  const auto got = read_report({reinterpret_cast<const char*>(data), size});
  if (!got) {
    require(got.status == OTAGATE_INVALID && !got.message.empty() && got.message.size() < 512);
    require(std::none_of(got.message.begin(), got.message.end(),
                         [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
    return 0;
  }
  require(got.value.deployment != 0 && got.value.part < kMaxParts);
  require(got.value.message.size() <= kMaxMessage + 5 && got.value.version.size() <= kMaxMessage);
  require(got.value.message.find('\0') == std::string_view::npos);
  return 0;
}
