// What lies in the cache's folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "cache/layout.hpp"

namespace otagate::cache {

struct DiskScan {
  std::map<Digest, FileIdentity> blobs;
  std::map<std::string, std::uint64_t> fills;  // with a part and a map that can be read: bytes on disk, by id
  std::map<std::string, Digest> sealed;        // with a map that names the blob its part became, by id
  std::vector<std::filesystem::path> strays;   // nothing the cache would use
};

// Reads the folders; opens no blob. What cannot be read is left out.
DiskScan scan_disk(const Layout& layout);

// Keeps the newest `most` files of the quarantine.
void prune_quarantine(const Layout& layout, std::size_t most);

}  // namespace otagate::cache
