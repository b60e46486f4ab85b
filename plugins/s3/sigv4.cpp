#include "s3/sigv4.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <ctime>

#include "common/http_client/url.hpp"

namespace otagate::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string hmac(std::string_view key, std::string_view data) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), out, &size);
  return {reinterpret_cast<const char*>(out), size};
}

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
  return hex({reinterpret_cast<const char*>(out), size});
}

std::string query_string(const Params& query) {
  // Sorted by what is compared on the other side: the encoded names, then the encoded values.
  Params encoded;
  for (const auto& [name, value] : query) {
    encoded.emplace_back(common::percent_encode(name), common::percent_encode(value));
  }
  std::string out;
  for (const auto& [name, value] : sorted(std::move(encoded))) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
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
  std::string key = hmac("AWS4" + who.secret_key, date.substr(0, 8));
  key = hmac(key, scope.region);
  key = hmac(key, scope.service);
  key = hmac(key, "aws4_request");
  return hex(hmac(key, string_to_sign(canonical_request(what), date, scope)));
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
