// Where a container's requests go.
#pragma once

#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/url.hpp"

namespace otagate::azure {

// Whether a blob of that name can be asked for: a key, UTF-8, and without the segments "." and "..", which
// servers on the way resolve to another name.
bool usable_name(std::string_view name);

// Value type. Keys are bytes; the paths are encoded once, as they are sent and signed.
class Address {
 public:
  // `endpoint` is that of the Blob service, with the account in its path where it is not in the host name
  // (the emulator). Errors are OTAGATE_INVALID and say what to write.
  static common::Outcome<Address> make(const std::string& endpoint, const std::string& container);

  const std::string& container() const { return container_; }
  std::string service_path() const { return base_ + "/"; }
  std::string container_path() const { return base_ + "/" + container_; }
  std::string blob_path(std::string_view key) const;
  // `path` from above, `query` encoded, maybe empty.
  std::string url(std::string_view path, std::string_view query) const;
  bool tls() const { return where_.scheme == "https"; }
  bool loopback() const { return where_.loopback(); }

 private:
  common::UrlParts where_;
  std::string base_;  // before the container: "" or "/devstoreaccount1"
  std::string container_;
};

}  // namespace otagate::azure
