#include "cache/layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace otagate::cache {

namespace fs = std::filesystem;

fs::path Layout::blob(const Digest& digest) const {
  const std::string hex = digest.hex();
  return blobs() / hex.substr(0, 2) / hex;
}

Result<void> Layout::make_folders() const {
  bool made = false;
  for (const fs::path& folder : {root_, root_ / "blobs", blobs(), fills(), quarantine()}) {
    std::error_code error;
    made = fs::create_directories(folder, error) || made;
    if (error)
      return fail(
          errno_error("making the cache folder " + folder.string(), error.value()).with_context("cache"));
    if (::chmod(folder.c_str(), 0750) != 0)
      return fail(errno_error("setting the mode of " + folder.string(), errno));
  }
  if (!made) return {};
  for (const fs::path& folder : {root_ / "blobs", root_})
    if (auto synced = sync_folder(folder); !synced) return synced;
  return {};
}

Result<UniqueFd> open_file(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return fail(errno_error("opening " + path.string(), errno));
  return fd;
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("writing to the cache", errno));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

Result<std::size_t> read_some(int fd, std::span<std::byte> out, std::uint64_t offset) {
  std::size_t total = 0;
  while (total < out.size()) {
    const ssize_t got =
        ::pread(fd, out.data() + total, out.size() - total, static_cast<off_t>(offset + total));
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("reading from the cache", errno));
    }
    if (got == 0) break;
    total += static_cast<std::size_t>(got);
  }
  return total;
}

Result<void> sync_folder(const fs::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(errno_error("syncing " + folder.string(), errno));
  return {};
}

Result<void> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail(errno_error("removing " + path.string(), errno));
  return {};
}

Result<FileIdentity> identify(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error("stat of a cached file", errno));
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid, "not a regular file");
  constexpr std::int64_t kNanos = 1'000'000'000;
  return FileIdentity{info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                      info.st_mtim.tv_sec * kNanos + info.st_mtim.tv_nsec,
                      info.st_ctim.tv_sec * kNanos + info.st_ctim.tv_nsec};
}

std::string kernel_boot_id() {
  UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<std::byte, 36> text{};
  if (!fd) return "unknown";
  const auto got = read_some(fd.get(), text, 0);
  return got ? std::string(reinterpret_cast<const char*>(text.data()), *got) : "unknown";
}

}  // namespace otagate::cache
