// AWS Signature Version 4, as S3 wants it: one URI encoding, no path normalisation, the payload's
// hash in a header. Pure functions.
//
// Source: "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/object_store/query.hpp"

namespace otagate::s3 {

struct Credentials {
  std::string access_key{};
  std::string secret_key{};
  std::string session_token{};  // of temporary credentials, else empty

  bool anonymous() const { return access_key.empty(); }
};

struct Scope {
  std::string region{};
  std::string service = "s3";
};

using common::Params;

// What is signed. `headers` holds every header to be signed, `host` among them, names in lower case.
struct Signable {
  std::string_view method{};
  std::string_view path{};  // percent-encoded, as it is sent
  Params query{};
  Params headers{};
  std::string_view payload_hash{};
};

inline constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// "20130524T000000Z"
std::string amz_date(std::int64_t unix_seconds);

std::string sha256_hex(std::string_view data);

using common::query_string;  // in the order the signature wants; also good to send

std::string canonical_request(const Signable& what);
std::string string_to_sign(std::string_view canonical_request, std::string_view date, const Scope& scope);

// 64 hex digits.
std::string signature(const Signable& what, const Credentials& who, std::string_view date,
                      const Scope& scope);

// The value of the Authorization header.
std::string authorization(const Signable& what, const Credentials& who, std::string_view date,
                          const Scope& scope);

// The whole query of a presigned URL: what.query, the X-Amz- parameters and the signature. Only the
// headers in `what` are signed, normally just host; its payload_hash is not used.
std::string presigned_query(Signable what, const Credentials& who, std::string_view date, const Scope& scope,
                            std::uint64_t expires_seconds);

}  // namespace otagate::s3
