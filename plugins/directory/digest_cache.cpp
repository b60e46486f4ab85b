#include "directory/digest_cache.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <vector>

#include "otagate/cpp/status.hpp"

namespace otagate::directory {

std::string DigestCache::find(const std::string& key, const std::string& token) {
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end() || entry->second.token != token) return {};
  entry->second.run = run_;
  return entry->second.sha256;
}

void DigestCache::remember(const std::string& key, const std::string& token, const std::string& sha256) {
  const std::scoped_lock lock(mutex_);
  if (entries_.size() >= kMaxEntries && !entries_.contains(key)) return;
  entries_[key] = {token, sha256, run_};
}

void DigestCache::begin_run() {
  const std::scoped_lock lock(mutex_);
  ++run_;
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.run + 2 < run_; });
}

std::string file_sha256(int fd, const std::function<bool()>& stopped) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!hash || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1) {
    throw sdk::Failure(OTAGATE_INTERNAL, "SHA-256 is not available");
  }
  std::vector<unsigned char> buffer(256 * 1024);
  std::uint64_t offset = 0;
  while (true) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw sdk::Failure(OTAGATE_TRANSIENT, "reading to hash: " + std::generic_category().message(errno));
    }
    if (got == 0) break;
    EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
    if (offset % (1024 * 1024) < buffer.size() && stopped()) return {};
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(hash.get(), digest, &size);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

}  // namespace otagate::directory
