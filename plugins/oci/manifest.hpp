// Manifests and indexes of the OCI image specification 1.1 and of Docker's schema 2. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http_client/failure.hpp"

namespace otagate::oci {

// The specification asks registries to take 4 MiB; nothing that describes firmware comes near.
inline constexpr std::size_t kMaxManifest = 4u << 20;
inline constexpr std::size_t kMaxLayers = 256;
inline constexpr std::size_t kMaxManifests = 256;
inline constexpr std::size_t kMaxAnnotations = 64;
// Bytes; longer ones are left out. All of a manifest's fit into what the gateway takes as metadata.
inline constexpr std::size_t kMaxAnnotation = 1024;
inline constexpr std::size_t kMaxAnnotationName = 128;

namespace media_type {
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kEmpty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kBytes = "application/octet-stream";
inline constexpr std::string_view kFirmware = "application/vnd.otagate.firmware.v1";  // artifactType
}  // namespace media_type

// What a manifest request says it takes.
std::string accepted_media_types();

using Annotations = std::map<std::string, std::string>;

struct Platform {
  std::string os{};
  std::string architecture{};
  std::string variant{};
};

struct Descriptor {
  std::string media_type{};
  std::string digest{};  // as it was said: see valid_digest()
  std::uint64_t size = 0;
  std::string artifact_type{};
  Annotations annotations{};
  std::optional<Platform> platform{};
};

struct Manifest {
  bool index = false;
  std::string media_type{};
  std::string artifact_type{};  // of the manifest, else the media type of a config that is none of an image
  Descriptor config{};          // manifests only
  std::vector<Descriptor> layers{};
  std::vector<Descriptor> manifests{};  // indexes only
  Annotations annotations{};

  // A container image, whose layers are archives of a file system.
  bool image() const;
};

// `content_type` is what the answer's head said. The error says what is wrong with the document. A document
// that could be read as manifest and as index is refused, and so is one of another type than it was
// delivered as: what is verified must be what is used.
common::Outcome<Manifest> parse_manifest(std::string_view json, std::string_view content_type);

// The labels of an image's configuration; empty when it has none.
common::Outcome<Annotations> parse_image_labels(std::string_view json);

}  // namespace otagate::oci
