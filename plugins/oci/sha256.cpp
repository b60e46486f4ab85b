#include "oci/sha256.hpp"

#include "common/object_store/digests.hpp"
#include "otagate/cpp/status.hpp"

namespace otagate::oci {
namespace {

void require(bool good) {
  if (!good) throw sdk::Failure(OTAGATE_INTERNAL, "OpenSSL cannot make a SHA-256");
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::update(std::string_view bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::hex() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context_.get(), out, &size) == 1);
  return common::to_hex({reinterpret_cast<const char*>(out), size});
}

std::string digest_of(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return "sha256:" + hash.hex();
}

}  // namespace otagate::oci
