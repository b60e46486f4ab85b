// What an operator brings by hand or in a bundle: a list of images that are to become firmware.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "firmware/metadata.hpp"

namespace otagate::firmware {

inline constexpr std::size_t kMaxImports = 1000;
// The first member of a bundle's manifest, under "format".
inline constexpr std::string_view kBundleFormat = "otagate-bundle/1";

// One image. What `claim` leaves open (name, version, type) is taken from the image and from `file`.
struct Import {
  Claim claim;  // with sha256, and in a bundle with size
  Digest digest;
  std::string file;  // the name it had: "sensor-1.2.3.bin"; may be empty
};

struct ImportList {
  std::vector<Import> items;
  bool replace = false;  // other bytes under a name and version that is there already are taken
};

// {"items": [{"sha256", "name", "version", "type", "kind", "dependency", "file"}], "replace": false}: at
// least one item, at most kMaxImports. Errors name the item, counted from 1.
Result<ImportList> parse_import_list(std::string_view json);

// A bundle's manifest.json: {"format": "otagate-bundle/1", "items": [...]} where each item has name,
// version, sha256 and size, and no two are the same firmware. Another format is refused by name.
Result<ImportList> parse_bundle_manifest(std::string_view json);

}  // namespace otagate::firmware
