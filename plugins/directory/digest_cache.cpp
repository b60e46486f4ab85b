#include "directory/digest_cache.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

#include "otagate/cpp/status.hpp"

namespace otagate::directory {

namespace {

constexpr char kHex[] = "0123456789abcdef";

std::string to_hex(const unsigned char* bytes, std::size_t size) {
  std::string text;
  text.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

unsigned nibble(char digit) {
  return static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10) & 15U;
}

}  // namespace

// 128 bits of a SHA-256: nobody finds two files that share them.
DigestCache::Id DigestCache::id_of(const std::string& key, const std::string& token) {
  const std::string text = key + '\0' + token;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
    throw sdk::Failure(OTAGATE_INTERNAL, "SHA-256 is not available");
  }
  Id id{};
  std::memcpy(id.data(), digest, sizeof(id));
  return id;
}

std::string DigestCache::find(const std::string& key, const std::string& token) {
  const Id id = id_of(key, token);
  const std::scoped_lock lock(mutex_);
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return {};
  entry->second.run = run_;
  return to_hex(entry->second.sha256.data(), entry->second.sha256.size());
}

void DigestCache::remember(const std::string& key, const std::string& token, const std::string& sha256) {
  const Id id = id_of(key, token);
  Entry entry;
  if (sha256.size() != entry.sha256.size() * 2) return;
  for (std::size_t i = 0; i < entry.sha256.size(); ++i) {
    entry.sha256[i] = static_cast<unsigned char>(nibble(sha256[2 * i]) << 4 | nibble(sha256[2 * i + 1]));
  }
  const std::scoped_lock lock(mutex_);
  if (entries_.size() >= kMaxEntries && !entries_.contains(id)) return;
  entry.run = run_;
  entries_[id] = entry;
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
  return to_hex(digest, size);
}

}  // namespace otagate::directory
