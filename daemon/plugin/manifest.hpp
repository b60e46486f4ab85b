// <name>.plugin.toml: what is known of a plugin before its shared object is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.hpp"
#include "core/error.hpp"

namespace otagate::plugin {

struct Manifest {
  std::string id;
  std::string file;  // beside the manifest, no folder in it
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::vector<std::string> interfaces;
  std::vector<std::string> permissions;
  Digest sha256;  // of the shared object
};

// `where` is for messages: "<where>:3: ...". Pure.
Result<Manifest> parse_manifest(std::string_view text, const std::string& where);
// Reads at most 64 KiB.
Result<Manifest> read_manifest(const std::filesystem::path& path);

}  // namespace otagate::plugin
