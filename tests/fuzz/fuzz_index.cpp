// links: otagate_firmware
// Sidecars and NDJSON index files. The first byte says in what pieces the file arrives; what is read must
// not depend on that.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firmware/index.hpp"

namespace {

template <class Index>
Index read(std::string_view text, std::size_t step) {
  Index index;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, step);
    if (!index.feed(piece)) break;
    text.remove_prefix(piece.size());
  }
  index.finish();
  return index;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otagate::firmware;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = std::max<std::size_t>(1, data[0]);
  const auto firmware = read<FirmwareIndex>(text, step);
  const auto versions = read<VersionIndex>(text, step);
  const auto whole = read<VersionIndex>(text, std::string_view::npos);
  if (versions.problem_count() != whole.problem_count() ||
      versions.entries().size() != whole.entries().size())
    std::abort();
  for (const auto& [key, entry] : versions.entries()) {
    if (key.size() > kMaxKey || !check_name(entry.name) || !check_version(entry.version)) std::abort();
    if (!claim_from_index(firmware, versions, key)) std::abort();
  }
  if (const auto claim = parse_sidecar(text)) {
    Sources sources;
    sources.key = "x.bin";
    sources.sidecar = &*claim;
    if (const auto merged = merge(sources); merged && !check_version(merged->identity.version)) std::abort();
  }
  return 0;
}
