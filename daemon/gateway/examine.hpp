// Finds out what objects of a store are: what the database, their sidecars, their metadata and their first
// bytes say.
#pragma once

#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "gateway/catalog_writer.hpp"
#include "gateway/paged_read.hpp"
#include "gateway/store_scope.hpp"

namespace otagate::gateway {

struct Examination {
  std::vector<Examined> done;  // in the order asked; what has moved meanwhile is left out
  // An error that is not an object's own (the store does not answer): what comes after was not looked at.
  Result<void> outcome;
};

// Several objects at a time, as far as the store has to be asked. Blocks; `ids` should be some hundred.
Examination examine_objects(const StoreScope& scope, PagedRead& reads, const std::vector<std::int64_t>& ids);

}  // namespace otagate::gateway
