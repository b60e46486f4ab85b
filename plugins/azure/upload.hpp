// What Put Blob wants to know of the bytes.
#pragma once

#include <functional>

#include "common/object_store/query.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::azure {

// The headers of a Put Blob: type, metadata, and the MD5 that the server compares the bytes with. Reads the
// file once, and throws sdk::Failure where its bytes are not those of the SHA-256 that was said, where the
// metadata cannot be kept, or when `cancelled`.
common::Params upload_headers(const sdk::PublishRequest& request, const std::function<bool()>& cancelled);

}  // namespace otagate::azure
