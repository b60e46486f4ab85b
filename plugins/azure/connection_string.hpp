// Connection strings of storage accounts, as Azure's portal shows them.
//
// Source: "Configure Azure Storage connection strings", Azure Storage documentation.
#pragma once

#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::azure {

struct ConnectionString {
  std::string endpoint{};  // of the Blob service: "https://myaccount.blob.core.windows.net"
  std::string account{};   // may be empty with a SAS
  std::string key{};       // bytes, not base64; empty with a SAS
  std::string sas{};       // as it was written
};

// Names are taken in any case, as Azure's own clients do, and those of other services are passed over.
// UseDevelopmentStorage=true is the emulator on this machine with its published key. Errors are
// OTAGATE_INVALID, name the part that is wrong and show no value.
common::Outcome<ConnectionString> parse_connection_string(std::string_view text);

// "AccountKey" as bytes; what is no base64 of 16 to 256 bytes is OTAGATE_INVALID.
common::Outcome<std::string> decode_account_key(std::string_view base64);

// 3 to 63 of a-z, 0-9 and '-': what may stand in a path and in a signature.
bool account_name(std::string_view text);

}  // namespace otagate::azure
