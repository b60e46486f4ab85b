// A reader of the cache as a transport holds it.
#pragma once

#include <memory>
#include <string>

#include "cache/cache.hpp"
#include "plugin/transport.hpp"

namespace otagate::gateway {

// `cache` outlives the blob. `tag` is what was said for these bytes.
std::shared_ptr<plugin::Blob> make_blob(cache::Cache& cache, cache::ReaderPtr reader, std::string tag);

}  // namespace otagate::gateway
