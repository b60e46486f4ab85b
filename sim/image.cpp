#include "image.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace otagate::sim {

struct Image::Hash {
  Hash() : context(EVP_MD_CTX_new()) {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
      throw std::runtime_error("OpenSSL has no SHA-256");
    }
  }
  ~Hash() { EVP_MD_CTX_free(context); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  EVP_MD_CTX* context;
};

Image::Image() = default;
Image::~Image() = default;

void Image::begin(std::string_view key) {
  key_ = key;
  offset_ = 0;
  hash_.reset();
}

void Image::append(std::string_view data) {
  if (!hash_) hash_ = std::make_unique<Hash>();
  EVP_DigestUpdate(hash_->context, data.data(), data.size());
  offset_ += data.size();
}

std::string Image::sha256() const {
  const Hash copy;
  if (hash_) EVP_MD_CTX_copy_ex(copy.context, hash_->context);
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  EVP_DigestFinal_ex(copy.context, out.data(), &length);
  return hex({reinterpret_cast<const char*>(out.data()), length});
}

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

}  // namespace otagate::sim
