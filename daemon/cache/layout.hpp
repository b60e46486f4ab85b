// Where the cache's files lie, and the few file operations that must be done the same way everywhere.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cache/types.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"
#include "core/fd.hpp"

namespace otagate::cache {

class Layout {
 public:
  explicit Layout(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path blobs() const { return root_ / "blobs" / "sha256"; }
  std::filesystem::path fills() const { return root_ / "fills"; }
  std::filesystem::path quarantine() const { return root_ / "quarantine"; }
  std::filesystem::path running_marker() const { return root_ / "running"; }
  std::filesystem::path lock_file() const { return root_ / "lock"; }

  std::filesystem::path blob(const Digest& digest) const;
  std::filesystem::path part(std::string_view id) const { return fills() / (std::string(id) + ".part"); }
  std::filesystem::path map(std::string_view id) const { return fills() / (std::string(id) + ".map"); }
  std::filesystem::path durable_map(std::string_view id) const {
    return fills() / (std::string(id) + ".sync");
  }

  // Makes the folders, readable by the owner and group only, and syncs them if they are new.
  Result<void> make_folders() const;

 private:
  std::filesystem::path root_;
};

// open(2) without following a link at the end, close-on-exec.
Result<UniqueFd> open_file(const std::filesystem::path& path, int flags);
// All of `bytes` at `offset`, interrupted and short writes included.
Result<void> write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset);
// Fills `out`; fewer bytes only at the end of the file.
Result<std::size_t> read_some(int fd, std::span<std::byte> out, std::uint64_t offset);
Result<void> sync_folder(const std::filesystem::path& folder);
// A missing file is success.
Result<void> remove_file(const std::filesystem::path& path);
// not_found and friends as errors; refuses what is no regular file.
Result<FileIdentity> identify(int fd);
std::string kernel_boot_id();

}  // namespace otagate::cache
