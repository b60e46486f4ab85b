// A file system that passes everything on to a folder, and fails on demand: what a bad SD card does.
//
//   faultfs BACKING MOUNTPOINT CONTROL
//
// Runs in the foreground until it is unmounted. While the file CONTROL exists and holds "OPERATION PART",
// with OPERATION one of read, write, fsync, that operation answers EIO on each path that contains PART.
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int backing;
static const char* control;

static const char* below(const char* path) { return path[1] ? path + 1 : "."; }
static int result(int returned) { return returned < 0 ? -errno : 0; }
static int opened(const struct fuse_file_info* info) { return (int)info->fh; }

// By the name that the file has now: it may have been renamed since it was opened.
static int fails(const char* operation, int fd) {
  char wanted[16], part[256], link[64], path[PATH_MAX];
  FILE* file = fopen(control, "re");
  if (!file) return 0;
  const int words = fscanf(file, "%15s %255s", wanted, part);
  fclose(file);
  if (words != 2 || strcmp(wanted, operation) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return strstr(path, part) != NULL;
}

static int do_getattr(const char* path, struct stat* out, struct fuse_file_info* info) {
  if (info) return result(fstat(opened(info), out));
  return result(fstatat(backing, below(path), out, AT_SYMLINK_NOFOLLOW));
}

static int do_open(const char* path, struct fuse_file_info* info) {
  const int fd = openat(backing, below(path), info->flags | O_CLOEXEC);
  if (fd < 0) return -errno;
  info->fh = (uint64_t)fd;
  return 0;
}

static int do_create(const char* path, mode_t mode, struct fuse_file_info* info) {
  const int fd = openat(backing, below(path), info->flags | O_CREAT | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  info->fh = (uint64_t)fd;
  return 0;
}

static int do_release(const char* path, struct fuse_file_info* info) {
  (void)path;
  close(opened(info));
  return 0;
}

static int do_read(const char* path, char* to, size_t size, off_t at, struct fuse_file_info* info) {
  (void)path;
  if (fails("read", opened(info))) return -EIO;
  const ssize_t got = pread(opened(info), to, size, at);
  return got < 0 ? -errno : (int)got;
}

static int do_write(const char* path, const char* from, size_t size, off_t at, struct fuse_file_info* info) {
  (void)path;
  if (fails("write", opened(info))) return -EIO;
  const ssize_t done = pwrite(opened(info), from, size, at);
  return done < 0 ? -errno : (int)done;
}

static int do_fsync(const char* path, int only_data, struct fuse_file_info* info) {
  (void)path;
  if (fails("fsync", opened(info))) return -EIO;
  return result(only_data ? fdatasync(opened(info)) : fsync(opened(info)));
}

static int do_fsyncdir(const char* path, int only_data, struct fuse_file_info* info) {
  (void)path, (void)only_data, (void)info;
  return 0;
}

static int do_truncate(const char* path, off_t size, struct fuse_file_info* info) {
  if (info) return result(ftruncate(opened(info), size));
  const int fd = openat(backing, below(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  const int status = result(ftruncate(fd, size));
  close(fd);
  return status;
}

static int do_opendir(const char* path, struct fuse_file_info* info) {
  const int fd = openat(backing, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd < 0 ? NULL : fdopendir(fd);
  if (!folder) return -errno;
  info->fh = (uintptr_t)folder;
  return 0;
}

static int do_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info* info, enum fuse_readdir_flags flags) {
  (void)path, (void)offset, (void)flags;
  DIR* folder = (DIR*)(uintptr_t)info->fh;
  rewinddir(folder);
  for (const struct dirent* entry = readdir(folder); entry; entry = readdir(folder))
    fill(buffer, entry->d_name, NULL, 0, 0);
  return 0;
}

static int do_releasedir(const char* path, struct fuse_file_info* info) {
  (void)path;
  closedir((DIR*)(uintptr_t)info->fh);
  return 0;
}

static int do_rename(const char* from, const char* to, unsigned flags) {
  return result(renameat2(backing, below(from), backing, below(to), flags));
}

static int do_utimens(const char* path, const struct timespec times[2], struct fuse_file_info* info) {
  (void)info;
  return result(utimensat(backing, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int do_chmod(const char* path, mode_t mode, struct fuse_file_info* info) {
  (void)info;
  return result(fchmodat(backing, below(path), mode, 0));
}

static int do_statfs(const char* path, struct statvfs* out) {
  (void)path;
  return result(fstatvfs(backing, out));
}

static int do_mkdir(const char* path, mode_t mode) { return result(mkdirat(backing, below(path), mode)); }
static int do_unlink(const char* path) { return result(unlinkat(backing, below(path), 0)); }
static int do_rmdir(const char* path) { return result(unlinkat(backing, below(path), AT_REMOVEDIR)); }

static void* do_init(struct fuse_conn_info* connection, struct fuse_config* config) {
  (void)connection;
  config->use_ino = 1;
  config->hard_remove = 1;
  config->nullpath_ok = 1;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  return NULL;
}

static const struct fuse_operations operations = {
    .init = do_init,
    .getattr = do_getattr,
    .open = do_open,
    .create = do_create,
    .release = do_release,
    .read = do_read,
    .write = do_write,
    .fsync = do_fsync,
    .fsyncdir = do_fsyncdir,
    .truncate = do_truncate,
    .readdir = do_readdir,
    .rename = do_rename,
    .utimens = do_utimens,
    .chmod = do_chmod,
    .statfs = do_statfs,
    .mkdir = do_mkdir,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .opendir = do_opendir,
    .releasedir = do_releasedir,
};

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: faultfs BACKING MOUNTPOINT CONTROL\n");
    return 2;
  }
  backing = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (backing < 0) {
    perror(argv[1]);
    return 1;
  }
  control = argv[3];
  if (control[0] != '/') {
    fprintf(stderr, "%s: write the whole path\n", control);
    return 2;
  }
  char* arguments[] = {argv[0], "-f", argv[2], NULL};
  return fuse_main(3, arguments, &operations, NULL);
}
