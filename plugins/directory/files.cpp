#include "directory/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "otagate/cpp/status.hpp"

namespace otagate::directory {
namespace {

using sdk::Failure;

std::uint32_t status_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENXIO:  // a socket
    case ENAMETOOLONG: return OTAGATE_NOT_FOUND;
    case EACCES:
    case EPERM: return OTAGATE_DENIED;
    default: return OTAGATE_TRANSIENT;
  }
}

[[noreturn]] void fail(int error, const std::string& what) {
  throw Failure(status_of(error), what + ": " + std::generic_category().message(error));
}

// A key is made of names: no empty ones, no "." or "..", no NUL.
bool is_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKey || key.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t end = std::min(key.find('/'), key.size());
    const std::string_view name = key.substr(0, end);
    if (name.empty() || name == "." || name == "..") return false;
    if (end == key.size()) return true;
    key.remove_prefix(end + 1);
  }
}

constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

// -1 with errno ENOSYS (or EPERM under a system call filter) where there is no such call.
int openat2_beneath(int root, const char* path) {
  open_how how = {};
  how.flags = kFileFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
}

int open_by_names(int root, std::string_view key) {
  Fd folder;
  int at = root;
  while (true) {
    const std::size_t slash = key.find('/');
    const std::string name(key.substr(0, slash));
    if (slash == std::string_view::npos) return openat(at, name.c_str(), kFileFlags | O_NOFOLLOW);
    Fd next(openat(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return -1;
    folder = std::move(next);
    at = folder.get();
    key.remove_prefix(slash + 1);
  }
}

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Dir = std::unique_ptr<DIR, DirCloser>;

// `folder` is a descriptor that may be shared; reading starts at its beginning.
Dir open_dir(int folder) {
  const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return nullptr;
  Dir dir(fdopendir(copy));
  if (!dir) close(copy);
  return dir;
}

enum class Kind { file, link, folder };

std::optional<Kind> kind_of(int folder, const dirent& entry) {
  unsigned type = entry.d_type;
  if (type == DT_UNKNOWN) {
    struct stat info = {};
    if (fstatat(folder, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    type = S_ISREG(info.st_mode)   ? DT_REG
           : S_ISDIR(info.st_mode) ? DT_DIR
           : S_ISLNK(info.st_mode) ? DT_LNK
                                   : DT_CHR;
  }
  switch (type) {
    case DT_REG: return Kind::file;
    case DT_LNK: return Kind::link;
    case DT_DIR: return Kind::folder;
    default: return std::nullopt;
  }
}

struct Name {
  std::string text;  // a folder's ends in '/', which is what keys are compared with
  Kind kind;
};

class Walk {
 public:
  Walk(int root, std::string_view after, const NameFilter& filter, const std::function<bool(File)>& visit,
       const std::function<void(const std::string&, const std::string&)>& complain)
      : root_(root), after_(after), filter_(filter), visit_(visit), complain_(complain) {}

  // False: visit() wants no more.
  bool folder(int fd, const std::string& prefix, int depth) {
    std::vector<Name> names = read_names(fd, prefix);
    std::sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.text < b.text; });
    for (const Name& name : names) {
      const std::string key = prefix + name.text;
      const bool goes_on = name.kind == Kind::folder ? enter(fd, name.text, key, depth) : file(fd, name, key);
      if (!goes_on) return false;
    }
    return true;
  }

 private:
  std::vector<Name> read_names(int fd, const std::string& prefix) {
    const Dir dir = open_dir(fd);
    if (!dir) {
      if (prefix.empty()) fail(errno, "reading the directory");
      complain_(prefix, std::generic_category().message(errno));
      return {};
    }
    std::vector<Name> names;
    while (const dirent* entry = readdir(dir.get())) {
      if (filter_.skips(entry->d_name)) continue;
      const std::optional<Kind> kind = kind_of(fd, *entry);
      if (!kind) continue;
      std::string text = entry->d_name;
      if (*kind == Kind::folder) text += '/';
      if (!wanted(prefix + text, *kind)) continue;
      if (names.size() >= kMaxNames) {
        throw Failure(OTAGATE_PERMANENT, "the folder '" + prefix + "' holds more than " +
                                             std::to_string(kMaxNames) +
                                             " names; spread them over several folders");
      }
      names.push_back({std::move(text), *kind});
    }
    return names;
  }

  bool wanted(const std::string& key, Kind kind) const {
    if (key.size() > kMaxKey) return false;
    return std::string_view(key) > after_ || (kind == Kind::folder && after_.starts_with(key));
  }

  bool enter(int fd, const std::string& name, const std::string& key, int depth) {
    if (depth >= kMaxDepth) {
      complain_(key, "deeper than " + std::to_string(kMaxDepth) + " folders");
      return true;
    }
    const Fd inner(openat(fd, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner) {
      if (errno != ENOENT) complain_(key, std::generic_category().message(errno));
      return true;
    }
    return folder(inner.get(), key, depth + 1);
  }

  bool file(int fd, const Name& name, const std::string& key) {
    File found{key, {}};
    if (name.kind == Kind::link) {
      try {
        open_beneath(root_, key, &found.info);
      } catch (const Failure&) {
        return true;  // leads out, to nothing, or to something that is no file
      }
    } else if (fstatat(fd, name.text.c_str(), &found.info, AT_SYMLINK_NOFOLLOW) != 0 ||
               !S_ISREG(found.info.st_mode)) {
      return true;  // gone meanwhile
    }
    return visit_(std::move(found));
  }

  const int root_;
  const std::string_view after_;
  const NameFilter& filter_;
  const std::function<bool(File)>& visit_;
  const std::function<void(const std::string&, const std::string&)>& complain_;
};

bool folders_below(int fd, const std::string& path, const NameFilter& filter, int depth,
                   const std::function<bool(const std::string&)>& visit) {
  if (!visit(path)) return false;
  if (depth >= kMaxDepth) return true;
  const Dir dir = open_dir(fd);
  if (!dir) return true;
  while (const dirent* entry = readdir(dir.get())) {
    if (filter.skips(entry->d_name) || kind_of(fd, *entry) != Kind::folder) continue;
    const Fd inner(openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const std::string below = path.empty() ? entry->d_name : path + "/" + entry->d_name;
    if (inner && !folders_below(inner.get(), below, filter, depth + 1, visit)) return false;
  }
  return true;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

int Fd::release() { return std::exchange(fd_, -1); }

bool NameFilter::skips(const char* name) const {
  if (name[0] == '.') return true;
  return std::any_of(ignore_.begin(), ignore_.end(),
                     [&](const std::string& glob) { return fnmatch(glob.c_str(), name, 0) == 0; });
}

Fd open_root(const std::string& path) {
  Fd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root) return root;
  const int error = errno;
  const std::uint32_t status = status_of(error) == OTAGATE_DENIED ? OTAGATE_DENIED : OTAGATE_TRANSIENT;
  throw Failure(status, "directory '" + path + "': " + std::generic_category().message(error) +
                            (status == OTAGATE_DENIED ? "; let the gateway's user read it"
                                                      : "; make it, or correct the option 'path'"));
}

Fd open_beneath(int root, std::string_view key, struct stat* info) {
  if (!is_key(key))
    throw Failure(OTAGATE_INVALID, "'" + std::string(key.substr(0, 200)) + "' is no key of a file");
  static std::atomic<bool> has_openat2 = true;
  const std::string path(key);
  int fd = -1;
  if (has_openat2) {
    fd = openat2_beneath(root, path.c_str());
    // EAGAIN: a rename raced with the resolution of a "..", of which a link may consist.
    for (int tries = 0; fd < 0 && errno == EAGAIN && tries < 8; ++tries)
      fd = openat2_beneath(root, path.c_str());
    if (fd < 0 && errno == ENOSYS) has_openat2 = false;
  }
  // A system call filter says EPERM where it knows no openat2; then the walk decides whether that is so.
  if (fd < 0 && (!has_openat2 || errno == EPERM)) fd = open_by_names(root, key);
  if (fd < 0) fail(errno, "opening '" + path + "'");
  Fd file(fd);
  if (fstat(fd, info) != 0) fail(errno, "reading '" + path + "'");
  if (!S_ISREG(info->st_mode)) throw Failure(OTAGATE_NOT_FOUND, "'" + path + "' is no regular file");
  return file;
}

std::string change_token(const struct stat& info) {
  char text[128];
  std::snprintf(text, sizeof text, "%llx.%09lx-%llx.%09lx-%llx-%llx",
                static_cast<long long>(info.st_mtim.tv_sec), info.st_mtim.tv_nsec,
                static_cast<long long>(info.st_ctim.tv_sec), info.st_ctim.tv_nsec,
                static_cast<unsigned long long>(info.st_size), static_cast<unsigned long long>(info.st_ino));
  return text;
}

void walk(int root, std::string_view after, const NameFilter& filter, const std::function<bool(File)>& visit,
          const std::function<void(const std::string&, const std::string&)>& complain) {
  Walk(root, after, filter, visit, complain).folder(root, "", 0);
}

void walk_folders(int root, const std::string& start, const NameFilter& filter,
                  const std::function<bool(const std::string&)>& visit) {
  Fd folder(openat(root, start.empty() ? "." : start.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder) folders_below(folder.get(), start, filter, 0, visit);
}

}  // namespace otagate::directory
