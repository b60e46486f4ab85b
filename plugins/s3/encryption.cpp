#include "s3/encryption.hpp"

#include <openssl/evp.h>

#include "common/object_store/digests.hpp"

namespace otagate::s3 {
namespace {

constexpr std::size_t kKeyBytes = 32;

std::string md5(std::string_view bytes) {
  std::string digest(16, '\0');
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 EVP_md5(), nullptr) != 1)
    return {};
  return digest;
}

}  // namespace

common::Outcome<Encryption> Encryption::make(const std::string& customer_key, const std::string& kind,
                                             const std::string& kms_key) {
  Encryption made;
  if (!customer_key.empty()) {
    const std::optional<std::string> bytes = common::from_base64(customer_key);
    if (!bytes || bytes->size() != kKeyBytes) {
      return common::fail(
          OTAGATE_INVALID,
          "option 'encryption_key' must be 32 bytes in base64, such as `openssl rand -base64 32` "
          "makes them");
    }
    if (!kind.empty())
      return common::fail(OTAGATE_INVALID, "options 'encryption_key' and 'encryption' exclude each other");
    const std::string sum = md5(*bytes);
    if (sum.empty())
      return common::fail(OTAGATE_INTERNAL, "MD5, which SSE-C asks for, is not to be had of OpenSSL");
    const std::string prefix = "x-amz-server-side-encryption-customer-";
    made.of_object_ = {{prefix + "algorithm", "AES256"},
                       {prefix + "key", customer_key},
                       {prefix + "key-md5", common::to_base64(sum)}};
  }
  if (!kind.empty()) made.of_new_object_.emplace_back("x-amz-server-side-encryption", kind);
  if (!kms_key.empty()) {
    if (!kind.starts_with("aws:kms"))
      return common::fail(OTAGATE_INVALID, "option 'kms_key' goes with encryption = \"aws:kms\"");
    made.of_new_object_.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", kms_key);
  }
  return made;
}

}  // namespace otagate::s3
