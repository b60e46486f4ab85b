#include "blob_transfer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/value.hpp>
#include <cerrno>
#include <vector>

#include "core/fd.hpp"

namespace otagate::cli {

namespace {

constexpr std::size_t kPiece = 256 << 10;

Result<UniqueFd> open_regular(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(errno_error("open " + path, errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return fail(errno_error("open " + path, errno));
  if (!S_ISREG(status.st_mode)) return fail(Code::invalid, path + ": is no regular file");
  return file;
}

// At most all of `into`; 0 at the end.
Result<std::size_t> read_some(int fd, std::span<char> into, const std::string& path) {
  for (;;) {
    const ssize_t got = ::read(fd, into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail(errno_error("read " + path, errno));
  }
}

}  // namespace

Result<FileDigest> digest_of_file(const std::string& path) {
  const auto file = open_regular(path);
  if (!file) return fail(file.error());
  Sha256 hash;
  FileDigest result;
  std::vector<char> piece(kPiece);
  for (;;) {
    const auto got = read_some(file->get(), piece, path);
    if (!got) return fail(got.error());
    if (*got == 0) break;
    hash.update(std::string_view(piece.data(), *got));
    result.size += *got;
  }
  if (result.size == 0) return fail(Code::invalid, path + ": is empty");
  result.digest = hash.finish();
  return result;
}

Result<bool> daemon_has(const Client& client, const Digest& digest) {
  const auto found = client.get("/api/v1/blobs/" + digest.hex());
  if (found) return true;
  if (found.error().code() == Code::not_found) return false;
  return fail(found.error());
}

Result<void> send_blob(const Client& client, const Digest& digest, std::uint64_t size, const ReadPiece& read,
                       const std::string& what) {
  const auto there = daemon_has(client, digest);
  if (!there) return fail(there.error());
  if (*there) return {};
  auto sent = client.put("/api/v1/blobs/" + digest.hex(), size, read);
  if (!sent) return fail(std::move(sent).error().with_context(what));
  return {};
}

Result<void> send_file(const Client& client, const std::string& path, const FileDigest& file) {
  const auto opened = open_regular(path);
  if (!opened) return fail(opened.error());
  const auto read = [&](std::span<char> into) -> Result<void> {
    while (!into.empty()) {
      const auto got = read_some(opened->get(), into, path);
      if (!got) return fail(got.error());
      if (*got == 0) return fail(Code::changed, path + ": has become shorter");
      into = into.subspan(*got);
    }
    return {};
  };
  return send_blob(client, file.digest, file.size, read, path);
}

}  // namespace otagate::cli
