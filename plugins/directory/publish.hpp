// Writing firmware into the folder, so that whoever reads it sees all of a file or nothing.
#pragma once

#include <functional>
#include <string>

#include "directory/files.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::directory {

// The key for firmware that comes without one: "<type>/<name>-<version>.bin", which the gateway's own
// patterns read, or "sha256/<digest>.bin" where name or version are not known.
std::string key_for(const sdk::PublishRequest& request);

// Copies the bytes to `key` and what is known of them to the sidecar `<key>.json`. Each is written under a
// hidden name, synced, and renamed; folders are made as needed, links are not followed. The bytes are
// hashed on their way: others than those of `request.sha256` are not kept. Throws Failure.
sdk::Object publish_file(int root, const std::string& key, const NameFilter& filter,
                         const sdk::PublishRequest& request, const std::function<bool()>& stopped);

}  // namespace otagate::directory
