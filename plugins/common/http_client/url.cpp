#include "common/http_client/url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace otagate::common {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

bool unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

std::string part(const Url& url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), what, &text, flags) != CURLUE_OK || !text) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

// Bytes of the UTF-8 character at the start of `text`, 0 if it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies above U+10FFFF.
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) > 0x9f) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

}  // namespace

std::string percent_encode(std::string_view text, EncodeSlash slash) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (unreserved(byte) || (c == '/' && slash == EncodeSlash::no)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string percent_decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i] == '+' && plus == Plus::space ? ' ' : text[i];
  }
  return out;
}

std::string UrlParts::authority() const { return default_port ? host : host + ":" + std::to_string(port); }

std::string UrlParts::origin() const { return scheme + "://" + host + ":" + std::to_string(port); }

bool UrlParts::loopback() const {
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

Outcome<UrlParts> parse_url(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return fail(OTAGATE_INVALID, "'" + redacted_url(text) + "' " + std::string(why));
  };
  if (text.find('\0') != std::string_view::npos) return invalid("holds a NUL");
  // curl also reads "http:host" and "http:/host".
  if (text.find("://") == std::string_view::npos)
    return invalid("is no URL; write it like https://host:port/path");
  const Url url(curl_url());
  if (!url) return fail(OTAGATE_TRANSIENT, "out of memory");
  const std::string copy(text);
  if (curl_url_set(url.get(), CURLUPART_URL, copy.c_str(), CURLU_PATH_AS_IS) != CURLUE_OK) {
    return invalid("is no URL; write it like https://host:port/path");
  }
  UrlParts parts;
  parts.scheme = part(url, CURLUPART_SCHEME);
  if (parts.scheme != "http" && parts.scheme != "https")
    return invalid("must start with http:// or https://");
  parts.host = part(url, CURLUPART_HOST);
  for (char& c : parts.host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (parts.host.empty()) return invalid("names no host");
  // curl takes bytes that no resolver or certificate knows; a name beyond ASCII is written in punycode.
  if (std::any_of(parts.host.begin(), parts.host.end(),
                  [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) {
    return invalid("has a host that is no ASCII name; write it as xn--...");
  }
  const std::uint16_t own_port = parts.scheme == "https" ? 443 : 80;
  const std::string port = part(url, CURLUPART_PORT);
  parts.port = own_port;
  if (!port.empty()) std::from_chars(port.data(), port.data() + port.size(), parts.port);
  parts.default_port = parts.port == own_port;
  parts.path = part(url, CURLUPART_PATH);
  if (parts.path.empty()) parts.path = "/";
  parts.has_query = !part(url, CURLUPART_QUERY).empty() || !part(url, CURLUPART_FRAGMENT).empty();
  parts.has_user = !part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty();
  return parts;
}

Outcome<std::string> resolve_url(const std::string& base, const std::string& location) {
  const Url url(curl_url());
  if (!url) return fail(OTAGATE_TRANSIENT, "out of memory");
  if (location.find('\0') != std::string::npos ||
      curl_url_set(url.get(), CURLUPART_URL, base.c_str(), CURLU_PATH_AS_IS) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return fail(OTAGATE_PERMANENT, "the redirect to '" + redacted_url(location) + "' is no URL");
  }
  return part(url, CURLUPART_URL);
}

std::string redacted_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  std::string text(url);
  const std::size_t scheme = text.find("://");
  const std::size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t authority_end = text.find('/', start);
  const std::size_t at = text.rfind('@', authority_end);
  if (at != std::string::npos && at >= start && at < authority_end) text.erase(start, at + 1 - start);
  return printable(text, 512);
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (out.size() + (length ? length : 1) > limit) break;
    if (length == 0) {
      out += '?';
    } else if (length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f)) {
      out += ' ';
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length ? length : 1);
  }
  return out;
}

}  // namespace otagate::common
