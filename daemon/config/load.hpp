// Reading the configuration: TOML files in, a checked Config or all that is wrong with them out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/config.hpp"

namespace otagate::config {

struct LoadOptions {
  // false: secrets are checked for form only and stay empty, so that somebody who may not read
  // them can still check a file.
  bool read_secrets = true;
};

using LoadResult = tl::expected<Config, Problems>;

// Reads `file` and, in name order, conf.d/*.toml beside it. Tables merge, a later scalar wins,
// [[store]], [[transport]] and [[credential]] append. Nothing is started or created. Bounds: 1 MiB a
// file, 256 files, 1,000 instances.
LoadResult load(const std::filesystem::path& file, const LoadOptions& options = {});

struct Source {
  std::string name;  // shown as the file in problems; relative paths in it are refused as usual
  std::string text;
};
// The same from memory.
LoadResult load_text(const std::vector<Source>& sources, const LoadOptions& options = {});

}  // namespace otagate::config
