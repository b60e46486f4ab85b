// Which parts of a manifest are firmware, and what they are called. Pure.
//
// In this order: layers that carry an io.otagate.* annotation; the first layer of the media type
// application/octet-stream (Drogue); of an artifact its one layer, or every layer that is named as a file
// (ORAS); of a container image a file in its layers (Drogue's older layouts).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "oci/documents.hpp"
#include "oci/manifest.hpp"
#include "oci/reference.hpp"
#include "otagate/storage.h"

namespace otagate::oci {

inline constexpr std::string_view kPrefix = "io.otagate.";
inline constexpr std::string_view kVersionAnnotation = "org.opencontainers.image.version";
inline constexpr std::string_view kTitleAnnotation = "org.opencontainers.image.title";
inline constexpr std::string_view kUnpackAnnotation = "io.deis.oras.content.unpack";

using Pairs = std::vector<std::pair<std::string, std::string>>;

enum class Shape {
  blob,      // a layer is the firmware, byte for byte
  member,    // the firmware is a file within a layer
  unusable,  // there is none; `why` says what was looked for
};

struct Candidate {
  Shape shape = Shape::unusable;
  std::string file{};                // part of the key where a manifest has several
  Descriptor layer{};                // blob
  std::vector<Descriptor> layers{};  // member: the layers to search, the topmost first
  std::vector<std::string> names{};  // member: of the file, the better one first
  std::uint64_t size = OTAGATE_SIZE_UNKNOWN;
  std::string sha256{};
  Pairs metadata{};
  std::string why{};
};

// What surrounds a manifest.
struct Surroundings {
  Reference of{};
  bool names = true;  // name and version from repository and tag where nothing else says them
  const Annotations* index = nullptr;      // of the index
  const Descriptor* descriptor = nullptr;  // as which the index lists it
  const Annotations* labels = nullptr;     // of an image's configuration
};

// Never empty: where there is no firmware one unusable candidate says why.
std::vector<Candidate> choose(const Manifest& manifest, const Surroundings& around);

// The device type of a manifest as its index lists it: io.otagate.type, else its platform
// ("linux-arm-v7"); "" when it has neither.
std::string type_of(const Descriptor& descriptor);

// Manifests of an index that describe others (build attestations): no firmware.
bool describes_another(const Descriptor& descriptor);

// The last part of a repository's name.
std::string_view last_part(std::string_view repository);

}  // namespace otagate::oci
