// links: otagate_oci_parts
// A layer as a registry may send it: an archive that may be compressed, in pieces of any size.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "oci/tar_member.hpp"
#include "otagate/cpp/status.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::size_t piece = size == 0 ? 1 : 1 + data[0] * 7u;
  try {
    otagate::oci::TarReader tar([&] {
      const std::string_view out = rest.substr(0, std::min(piece, rest.size()));
      rest.remove_prefix(out.size());
      return out;
    });
    // A sparse file unpacks to gigabytes of zeros, which is slow and no finding.
    std::uint64_t left = 16u << 20;
    while (const auto member = tar.next()) {
      if (member->path.starts_with('/')) std::abort();
      std::uint64_t got = 0;
      for (std::string_view part = tar.read(); !part.empty(); part = tar.read()) {
        got += part.size();
        if (part.size() > left) return 0;
        left -= part.size();
      }
      if (member->regular && got > member->size) std::abort();
    }
  } catch (const otagate::sdk::Failure&) {
  }
  return 0;
}
