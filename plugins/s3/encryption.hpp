// Server-side encryption: what a request says of it.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
#pragma once

#include <string>

#include "common/http_client/failure.hpp"
#include "common/object_store/query.hpp"

namespace otagate::s3 {

// Immutable. A key of ours (SSE-C) goes with every request for an object; what the server is to encrypt with
// (SSE-S3, SSE-KMS) only with those that make one.
class Encryption {
 public:
  // `customer_key`: 32 bytes in base64, or empty. `kind`: "", "AES256", "aws:kms" or "aws:kms:dsse".
  static common::Outcome<Encryption> make(const std::string& customer_key, const std::string& kind,
                                          const std::string& kms_key);

  bool has_customer_key() const { return !of_object_.empty(); }
  const common::Params& of_object() const { return of_object_; }
  const common::Params& of_new_object() const { return of_new_object_; }

 private:
  common::Params of_object_;
  common::Params of_new_object_;  // besides of_object()
};

}  // namespace otagate::s3
