// Firmware that is a file within a container image: found, measured and read by streaming through layers.
#pragma once

#include <cstdint>
#include <string>

#include "oci/documents.hpp"
#include "oci/registry.hpp"
#include "oci/selection.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::oci {

struct ImageFirmware {
  std::uint64_t size = 0;
  std::string sha256{};
  DrogueMetadata metadata{};  // of firmware.json or metadata.json; all empty when there is none
};

// Reads the layers of `candidate` (its shape is member), at most `most` bytes of them, until firmware and
// metadata are found. Every layer that was read has been held against its digest. Throws sdk::Failure:
// OTAGATE_PERMANENT when there is no firmware, or its metadata says otherwise than its bytes.
ImageFirmware scan_image(Registry& registry, const std::string& repository, const Candidate& candidate,
                         std::uint64_t most, sdk::Call& call);

// The file's bytes from request.offset on, as fetch() wants them. `token` is what begin() says.
void fetch_member(Registry& registry, const std::string& repository, const Candidate& candidate,
                  const sdk::FetchRequest& request, const std::string& token, sdk::FetchSink& sink);

}  // namespace otagate::oci
