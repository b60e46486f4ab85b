// Where a bucket's requests go.
#pragma once

#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/url.hpp"

namespace otagate::s3 {

// Value type. Keys are bytes; the paths are encoded once, as the signature wants them.
class Address {
 public:
  // `endpoint` empty: AWS, by region. `addressing` is "auto", "path" or "virtual"; "auto" takes virtual
  // hosts on AWS (unless a dot in the bucket's name would break its certificate) and paths elsewhere.
  // Errors are OTAGATE_INVALID and say what to write.
  static common::Outcome<Address> make(const std::string& endpoint, const std::string& bucket,
                                       const std::string& region, const std::string& addressing);

  std::string bucket_path() const;
  std::string object_path(std::string_view key) const;
  // The value of the Host header, which is signed.
  std::string host() const { return where_.authority(); }
  // `path` from above, `query` encoded, maybe empty.
  std::string url(std::string_view path, std::string_view query) const;
  bool tls() const { return where_.scheme == "https"; }
  bool loopback() const { return where_.loopback(); }

 private:
  common::UrlParts where_;
  std::string base_;  // before what S3 gives meaning to: "" or "/prefix", and the bucket in path addressing
};

}  // namespace otagate::s3
