#include "s3/sigv4.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <ctime>

#include "common/object_store/digests.hpp"

namespace otagate::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Params sorted(Params params) {
  std::sort(params.begin(), params.end());
  return params;
}

// Trimmed, and runs of spaces become one.
std::string header_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const char plain = c == '\t' ? ' ' : c;
    if (plain == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += plain;
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string signed_headers(const Params& headers) {
  std::string names;
  for (const auto& [name, value] : sorted(headers)) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string credential_scope(std::string_view date, const Scope& scope) {
  return std::string(date.substr(0, 8)) + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

}  // namespace

std::string amz_date(std::int64_t unix_seconds) {
  const std::time_t when = unix_seconds;
  std::tm parts = {};
  gmtime_r(&when, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

std::string sha256_hex(std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), out, &size, EVP_sha256(), nullptr);
  return common::to_hex({reinterpret_cast<const char*>(out), size});
}

std::string canonical_request(const Signable& what) {
  std::string out;
  out.append(what.method)
      .append("\n")
      .append(what.path)
      .append("\n")
      .append(query_string(what.query))
      .append("\n");
  for (const auto& [name, value] : sorted(what.headers)) {
    out.append(name).append(":").append(header_value(value)).append("\n");
  }
  return out.append("\n").append(signed_headers(what.headers)).append("\n").append(what.payload_hash);
}

std::string string_to_sign(std::string_view request, std::string_view date, const Scope& scope) {
  return std::string(kAlgorithm) + "\n" + std::string(date) + "\n" + credential_scope(date, scope) + "\n" +
         sha256_hex(request);
}

std::string signature(const Signable& what, const Credentials& who, std::string_view date,
                      const Scope& scope) {
  std::string key = common::hmac_sha256("AWS4" + who.secret_key, date.substr(0, 8));
  key = common::hmac_sha256(key, scope.region);
  key = common::hmac_sha256(key, scope.service);
  key = common::hmac_sha256(key, "aws4_request");
  return common::to_hex(common::hmac_sha256(key, string_to_sign(canonical_request(what), date, scope)));
}

std::string authorization(const Signable& what, const Credentials& who, std::string_view date,
                          const Scope& scope) {
  return std::string(kAlgorithm) + " Credential=" + who.access_key + "/" + credential_scope(date, scope) +
         ", SignedHeaders=" + signed_headers(what.headers) +
         ", Signature=" + signature(what, who, date, scope);
}

std::string presigned_query(Signable what, const Credentials& who, std::string_view date, const Scope& scope,
                            std::uint64_t expires_seconds) {
  what.payload_hash = kUnsignedPayload;
  what.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  what.query.emplace_back("X-Amz-Credential", who.access_key + "/" + credential_scope(date, scope));
  what.query.emplace_back("X-Amz-Date", date);
  what.query.emplace_back("X-Amz-Expires", std::to_string(expires_seconds));
  if (!who.session_token.empty()) what.query.emplace_back("X-Amz-Security-Token", who.session_token);
  what.query.emplace_back("X-Amz-SignedHeaders", signed_headers(what.headers));
  return query_string(what.query) + "&X-Amz-Signature=" + signature(what, who, date, scope);
}

}  // namespace otagate::s3
