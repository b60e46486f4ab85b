// links: otagate_firmware
// An image from the first byte to the hash inside it. The reader aborts on a read beyond the end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "firmware/image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate;
  using namespace otagate::firmware;
  const auto bytes = std::as_bytes(std::span(data, size));
  const ImageInfo info = probe(bytes);
  std::uint64_t read_bytes = 0;
  const ReadAt read = [&](std::uint64_t offset, std::span<std::byte> into) -> Result<void> {
    if (offset > size || into.size() > size - offset) std::abort();
    read_bytes += into.size();
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  };
  const Result<FormatCheck> check = check_format(read, size);
  if (!check) std::abort();
  // Hostile lengths must not make it read for ever: each byte at most twice, and some headers.
  if (read_bytes > 2 * std::uint64_t{size} + 4096 + 256) std::abort();
  if (check->verdict == Verdict::ok && (check->covered == 0 || check->covered > size)) std::abort();
  if ((check->verdict == Verdict::bad || check->verdict == Verdict::opaque) && check->reason.empty())
    std::abort();
  if (size <= kProbeBytes && info.format != check->format) std::abort();
  return 0;
}
