#include "state/files.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

namespace otagate::state {

std::filesystem::path beside(const std::filesystem::path& path, std::string_view suffix) {
  std::filesystem::path other = path;
  other += suffix;
  return other;
}

Result<UniqueFd> lock_database(const std::filesystem::path& path) {
  const std::filesystem::path name = beside(path, ".lock");
  UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail(errno_error("open " + name.string(), errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail(errno_error("lock " + name.string(), errno));
  return fail(Code::busy, path.string() + " is in use by another otagated: stop that one first");
}

Result<void> sync_path(const std::filesystem::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno_error("open " + path.string(), errno));
  if (::fsync(fd.get()) != 0) return fail(errno_error("fsync " + path.string(), errno));
  return {};
}

std::uint64_t size_or_zero(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail(errno_error("rename " + from.string() + " to " + to.string(), errno));
  return sync_path(to.has_parent_path() ? to.parent_path() : std::filesystem::path("."));
}

}  // namespace otagate::state
