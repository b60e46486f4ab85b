#include "azure/upload.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/http_client/url.hpp"
#include "common/object_store/digests.hpp"
#include "common/object_store/store_calls.hpp"

namespace otagate::azure {
namespace {

using sdk::Failure;

// Put Blob takes 5,000 MiB at once, and a blob's metadata is 8 KiB at most.
constexpr std::uint64_t kMaxBlob = 5000ull << 20;
constexpr std::size_t kMaxMetadata = 8192;
constexpr std::size_t kChunk = 256 * 1024;

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), kind, nullptr) != 1)
      throw Failure(OTAGATE_INTERNAL, "this OpenSSL has no such digest");
  }
  void add(const char* bytes, std::size_t size) { EVP_DigestUpdate(context_.get(), bytes, size); }
  std::string bytes() {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), out, &size);
    return {reinterpret_cast<const char*>(out), size};
  }

 private:
  const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context_;
};

// The MD5; throws where the SHA-256 is another.
std::string md5_of(const sdk::PublishRequest& request, const std::function<bool()>& cancelled) {
  Digest md5(EVP_md5());
  Digest sha256(EVP_sha256());
  std::vector<char> chunk(kChunk);
  for (std::uint64_t at = 0; at < request.size;) {
    if (cancelled()) throw Failure(OTAGATE_CANCELLED, "cancelled");
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, request.size - at));
    const ssize_t got = pread(request.fd, chunk.data(), want, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Failure(OTAGATE_INVALID, "the file to publish is shorter than was said");
    md5.add(chunk.data(), static_cast<std::size_t>(got));
    sha256.add(chunk.data(), static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  if (common::to_hex(sha256.bytes()) != request.sha256)
    throw Failure(OTAGATE_INVALID, "the bytes to publish are not those of the SHA-256 that was said");
  return md5.bytes();
}

bool metadata_name(std::string_view name) {
  return !name.empty() && (name[0] < '0' || name[0] > '9') &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

bool metadata_value(std::string_view value) {
  return common::plain_text(value) && !value.starts_with(' ') && !value.ends_with(' ');
}

}  // namespace

common::Params upload_headers(const sdk::PublishRequest& request, const std::function<bool()>& cancelled) {
  if (request.sha256.size() != 64)
    throw Failure(OTAGATE_INVALID, "publishing needs the SHA-256 of the bytes");
  if (request.size > kMaxBlob) throw Failure(OTAGATE_INVALID, "Azure takes at most 5,000 MiB at once");
  common::Params headers = {{"x-ms-blob-type", "BlockBlob"}, {"content-type", "application/octet-stream"}};
  bool has_sha256 = false;
  std::size_t bytes = 0;
  for (const auto& [name, value] : request.metadata) {
    if (!metadata_name(name) || !metadata_value(value)) {
      throw Failure(OTAGATE_INVALID,
                    "metadata '" + common::printable(name, 60) +
                        "' cannot be kept by Azure: names are a-z, 0-9 and '_', values ASCII");
    }
    has_sha256 = has_sha256 || name == "sha256";
    bytes += name.size() + value.size();
    if (!value.empty()) headers.emplace_back("x-ms-meta-" + name, value);
  }
  if (bytes > kMaxMetadata) throw Failure(OTAGATE_INVALID, "Azure keeps at most 8 KiB of metadata");
  if (!has_sha256) headers.emplace_back("x-ms-meta-sha256", request.sha256);
  headers.emplace_back("content-md5", common::to_base64(md5_of(request, cancelled)));
  return headers;
}

}  // namespace otagate::azure
