// The checks of each part of the configuration, from merged Value tree to typed structs.
#pragma once

#include "config/config.hpp"
#include "config/reader.hpp"

namespace otagate::config {

// [daemon] ... [security]; fills in what depends on other settings (cache.dir, plugin_dirs).
void read_globals(TableReader& root, Config& config, ReadContext& context);

// [[store]], [[transport]], [[credential]], [[webhook]]: names unique within their kind, at most 1,000 in
// all.
void read_instances(TableReader& root, Config& config, ReadContext& context);

}  // namespace otagate::config
