// Blobs between files of this machine and the daemon's cache.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "client.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"

namespace otagate::cli {

struct FileDigest {
  Digest digest;
  std::uint64_t size = 0;
};
// Reads a regular file to its end.
Result<FileDigest> digest_of_file(const std::string& path);

using ReadPiece = std::function<Result<void>(std::span<char> into)>;

// Whether the daemon has it already; only an error when it does not answer.
Result<bool> daemon_has(const Client& client, const Digest& digest);
// Unless the daemon has it. `what` is named by errors.
Result<void> send_blob(const Client& client, const Digest& digest, std::uint64_t size, const ReadPiece& read,
                       const std::string& what);
Result<void> send_file(const Client& client, const std::string& path, const FileDigest& file);

}  // namespace otagate::cli
