// Shared access signatures for reading one blob. Pure functions.
//
// Sources: "Create a service SAS" and "Create a user delegation SAS", Azure Storage REST API Reference,
// the strings to sign of version 2020-12-06 and later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace otagate::azure {

// Of requests and of signatures.
inline constexpr char kVersion[] = "2021-12-02";

// "2026-01-31T23:59:59Z"
std::string iso8601(std::int64_t unix_seconds);

struct BlobSas {
  std::string_view account{};
  std::string_view container{};
  std::string_view key{};    // of the blob, not encoded
  std::int64_t expires = 0;  // seconds since 1970
  bool https_only = true;
};

// What "Get User Delegation Key" answers with.
struct DelegationKey {
  std::string object_id{};
  std::string tenant_id{};
  std::string start{};
  std::string expiry{};
  std::string service{};
  std::string version{};
  std::string value{};  // bytes, not base64
};

std::string service_string_to_sign(const BlobSas& what);
std::string delegation_string_to_sign(const BlobSas& what, const DelegationKey& key);

// The query of a URL that reads the blob. `account_key` in bytes.
std::string service_sas(const BlobSas& what, std::string_view account_key);
std::string delegation_sas(const BlobSas& what, const DelegationKey& key);

}  // namespace otagate::azure
