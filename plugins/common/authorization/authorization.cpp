#include "common/authorization/authorization.hpp"

#include <algorithm>
#include <optional>

#include <openssl/evp.h>

namespace otagate::plugins {
namespace {

constexpr std::size_t kMaxSecret = 4096;

bool is_scheme(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

tl::unexpected<std::string> refused(std::string message) {
  return tl::unexpected<std::string>(std::move(message));
}

// OpenSSL's decoder skips white space and gives zero bytes for padding, so both are judged here.
std::optional<std::string> base64_decode(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  const bool alphabet = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
  if (!alphabet || text.size() > kMaxSecret || text.size() % 4 == 1) return std::nullopt;
  std::string padded(text);
  padded.append((4 - padded.size() % 4) % 4, '=');
  std::string out(padded.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(padded.data()), static_cast<int>(padded.size()));
  if (size < 0) return std::nullopt;
  out.resize(text.size() * 3 / 4);
  return out;
}

}  // namespace

tl::expected<Authorization, std::string> parse_authorization(std::string_view value) {
  const std::size_t space = value.find(' ');
  const std::string_view scheme = value.substr(0, space);
  std::string_view rest = space == std::string_view::npos ? std::string_view{} : value.substr(space + 1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  Authorization out;
  if (is_scheme(scheme, "bearer") || is_scheme(scheme, "targettoken") || is_scheme(scheme, "gatewaytoken")) {
    if (rest.empty() || rest.size() > kMaxSecret || rest.find(' ') != std::string_view::npos) {
      return refused("the token is empty or not one word: send 'Authorization: Bearer <token>'");
    }
    out.secret = rest;
    return out;
  }
  if (is_scheme(scheme, "basic")) {
    const auto decoded = base64_decode(rest);
    const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return refused("the Basic credential is not base64 of user:password");
    }
    out.scheme = Authorization::Scheme::kBasic;
    out.user = decoded->substr(0, colon);
    out.secret = decoded->substr(colon + 1);
    return out;
  }
  return refused("the authorization scheme is none of Bearer, Basic, TargetToken and GatewayToken");
}

std::string_view device_of_user(std::string_view user) {
  const std::size_t at = user.rfind('@');
  return at == std::string_view::npos || at == 0 ? std::string_view{} : user.substr(0, at);
}

std::string base64_encode(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace otagate::plugins
