// SHA-256 over OpenSSL.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace otagate::oci {

class Sha256 {
 public:
  // Throws sdk::Failure when OpenSSL has no memory or no SHA-256.
  Sha256();
  void update(std::string_view bytes);
  std::string hex();  // once, at the end

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// "sha256:<hex>"
std::string digest_of(std::string_view bytes);

}  // namespace otagate::oci
