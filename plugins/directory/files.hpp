// The files of a folder: found in order, opened so that no path leads out of it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace otagate::directory {

// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd();
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  int get() const { return fd_; }
  int release();
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Names that nobody means as firmware: hidden ones, and those that match a glob of `ignore`.
class NameFilter {
 public:
  explicit NameFilter(std::vector<std::string> ignore) : ignore_(std::move(ignore)) {}
  bool skips(const char* name) const;

 private:
  const std::vector<std::string> ignore_;
};

// The folder itself. Throws Failure: OTAGATE_TRANSIENT when it is not there (it may be mounted later),
// OTAGATE_DENIED when it may not be read.
Fd open_root(const std::string& path);

// A regular file by its key, a path relative to `root`. Neither ".." nor a symbolic link leads out of
// the root; where the kernel has no openat2(2) links are not followed at all. Opening never blocks (a
// FIFO is no regular file). Throws Failure: OTAGATE_NOT_FOUND, OTAGATE_DENIED, OTAGATE_INVALID for what
// is no key, OTAGATE_TRANSIENT.
Fd open_beneath(int root, std::string_view key, struct stat* info);

// Different when the bytes may be: mtime, ctime, size and inode.
std::string change_token(const struct stat& info);

struct File {
  std::string key;
  struct stat info;
};

inline constexpr int kMaxDepth = 32;
inline constexpr std::size_t kMaxNames = 250'000;  // in one folder
inline constexpr std::size_t kMaxKey = 1024;

// Calls `visit` for each regular file whose key is greater than `after`, in ascending order of bytes,
// until it returns false. Symbolic links to files within the root count as files, those to folders are
// not entered. `complain` hears of each folder that cannot be read (once per walk); the walk goes on.
// Throws Failure when the root cannot be read or a folder holds more than kMaxNames names.
void walk(int root, std::string_view after, const NameFilter& filter, const std::function<bool(File)>& visit,
          const std::function<void(const std::string& folder, const std::string& why)>& complain);

// The folders below the root, the root as "", each before what lies in it.
void walk_folders(int root, const std::string& start, const NameFilter& filter,
                  const std::function<bool(const std::string& folder)>& visit);

}  // namespace otagate::directory
