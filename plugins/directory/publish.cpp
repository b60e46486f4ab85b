#include "directory/publish.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

namespace otagate::directory {
namespace {

using sdk::Failure;

constexpr std::size_t kPiece = 256 * 1024;

[[noreturn]] void fail_errno(const std::string& what) {
  const int error = errno;
  const std::uint32_t status = error == EACCES || error == EPERM || error == EROFS ? OTAGATE_DENIED
                               : error == ENOSPC || error == EDQUOT                ? OTAGATE_NO_SPACE
                               : error == ENOTDIR || error == ELOOP                ? OTAGATE_INVALID
                                                                                   : OTAGATE_TRANSIENT;
  std::string advice;
  if (status == OTAGATE_DENIED)
    advice = "; let the gateway's user write there, and name the folder in ReadWritePaths= of its unit";
  throw Failure(status, what + ": " + std::generic_category().message(error) + advice);
}

std::string value_of(const sdk::PublishRequest& request, std::string_view key) {
  for (const auto& [name, value] : request.metadata) {
    if (name == key) return std::string(value);
  }
  return {};
}

std::vector<std::string> split(const std::string& key) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= key.size();) {
    const std::size_t end = std::min(key.find('/', from), key.size());
    parts.push_back(key.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

// The folder that `names` lead to, made where it is not there.
Fd make_folders(int root, const std::vector<std::string>& names) {
  Fd folder(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) fail_errno("opening the folder");
  for (const std::string& name : names) {
    const bool made = mkdirat(folder.get(), name.c_str(), 0775) == 0;
    if (!made && errno != EEXIST) fail_errno("making the folder '" + name + "'");
    Fd inner(openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner) fail_errno("opening the folder '" + name + "'");
    if (made && fsync(folder.get()) != 0) fail_errno("making the folder '" + name + "'");
    folder = std::move(inner);
  }
  return folder;
}

// A file under a hidden name until it is put in its place.
class Draft {
 public:
  Draft(int folder, std::string name)
      : folder_(folder), name_(std::move(name)), hidden_("." + name_ + ".part") {
    // What an earlier try left is ours to write over; a link would not be.
    unlinkat(folder_, hidden_.c_str(), 0);
    file_ = Fd(openat(folder_, hidden_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0664));
    if (!file_) fail_errno("writing '" + name_ + "'");
  }
  ~Draft() {
    if (!hidden_.empty()) unlinkat(folder_, hidden_.c_str(), 0);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void write(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t written = ::write(file_.get(), data, size);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail_errno("writing '" + name_ + "'");
      data += written;
      size -= static_cast<std::size_t>(written);
    }
  }

  void sync() {
    if (fsync(file_.get()) != 0) fail_errno("writing '" + name_ + "'");
  }

  struct stat place() {
    if (renameat(folder_, hidden_.c_str(), folder_, name_.c_str()) != 0)
      fail_errno("writing '" + name_ + "'");
    hidden_.clear();
    struct stat info {};
    if (fstat(file_.get(), &info) != 0) fail_errno("reading '" + name_ + "'");
    return info;
  }

 private:
  const int folder_;
  const std::string name_;
  std::string hidden_;  // empty once it is in its place
  Fd file_;
};

void copy(const sdk::PublishRequest& request, Draft& draft, const std::function<bool()>& stopped) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!hash || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1)
    throw Failure(OTAGATE_INTERNAL, "SHA-256 is not to be had of OpenSSL");
  std::vector<char> piece(kPiece);
  for (std::uint64_t at = 0; at < request.size;) {
    if (stopped()) throw Failure(OTAGATE_CANCELLED, "publishing was cancelled");
    const auto next = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), request.size - at));
    const ssize_t got = pread(request.fd, piece.data(), next, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Failure(OTAGATE_PERMANENT, "the gateway's own bytes cannot be read");
    draft.write(piece.data(), static_cast<std::size_t>(got));
    EVP_DigestUpdate(hash.get(), piece.data(), static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(hash.get(), digest.data(), nullptr);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) hex.append({kDigits[byte >> 4], kDigits[byte & 15]});
  if (hex != request.sha256)
    throw Failure(OTAGATE_REJECTED, "the bytes are not those of SHA-256 " + std::string(request.sha256));
}

std::string sidecar_of(const sdk::PublishRequest& request) {
  boost::json::object sidecar;
  for (const char* key : {"name", "version", "type", "kind", "dependency"}) {
    if (const std::string value = value_of(request, key); !value.empty()) sidecar[key] = value;
  }
  sidecar["sha256"] = request.sha256;
  sidecar["size"] = request.size;
  return boost::json::serialize(sidecar) + "\n";
}

}  // namespace

std::string key_for(const sdk::PublishRequest& request) {
  const std::string name = value_of(request, "name");
  const std::string version = value_of(request, "version");
  if (name.empty() || version.empty()) return "sha256/" + std::string(request.sha256) + ".bin";
  const std::string type = value_of(request, "type");
  return (type.empty() ? "" : type + "/") + name + "-" + version + ".bin";
}

sdk::Object publish_file(int root, const std::string& key, const NameFilter& filter,
                         const sdk::PublishRequest& request, const std::function<bool()>& stopped) {
  std::vector<std::string> names = split(key);
  const bool listed = key.size() <= kMaxKey && names.size() <= kMaxDepth && !key.ends_with(".json") &&
                      key.find('\0') == std::string::npos &&
                      std::none_of(names.begin(), names.end(), [&](const std::string& name) {
                        return name.empty() || filter.skips(name.c_str());  // "." and ".." are hidden names
                      });
  if (!listed) {
    throw Failure(OTAGATE_INVALID,
                  "'" + key.substr(0, 200) +
                      "' would not be listed: a key is a path of names that 'ignore' does not "
                      "match and that do not begin with a dot, and does not end in .json");
  }
  const std::string name = std::move(names.back());
  names.pop_back();
  const Fd folder = make_folders(root, names);
  Draft image(folder.get(), name);
  copy(request, image, stopped);
  image.sync();
  Draft sidecar(folder.get(), name + ".json");
  const std::string text = sidecar_of(request);
  sidecar.write(text.data(), text.size());
  sidecar.sync();
  // In between the old image has a sidecar that does not fit, and is not listed: better than new bytes that
  // the old one describes.
  sidecar.place();
  const struct stat info = image.place();
  if (fsync(folder.get()) != 0) fail_errno("writing '" + name + "'");

  sdk::Object object;
  object.key = key;
  object.size = request.size;
  object.sha256 = request.sha256;
  object.change_token = change_token(info);
  object.modified_ms = std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  object.metadata = request.metadata;
  return object;
}

}  // namespace otagate::directory
