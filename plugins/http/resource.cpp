#include "http/resource.hpp"

#include <algorithm>
#include <array>

#include "common/authorization/authorization.hpp"
#include "common/catalog_json/catalog_json.hpp"
#include "http/conditions.hpp"

namespace otagate::http {
namespace {

// Longer names would only crowd the head, which constrained devices read into one small buffer.
constexpr std::size_t kMaxFileName = 128;

int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

std::string unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(hex_digit(hex[i]) * 16 + hex_digit(hex[i + 1]));
  }
  return bytes;
}

// The host gives a tag as opaque text; what is not allowed in one (RFC 9110 section 8.8.3) is not sent.
bool is_etag(std::string_view tag) {
  return !tag.empty() && std::all_of(tag.begin(), tag.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
  });
}

// The plain form of a file name is a quoted string of harmless characters; RFC 6266's encoded form is
// added where that loses something.
std::string disposition(const sdk::Firmware& firmware) {
  const std::string name = firmware.name.empty() ? firmware.sha256 : firmware.name + "-" + firmware.version;
  if (name.empty() || name.size() > kMaxFileName) return {};
  std::string plain;
  for (const char c : name) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_' || c == '+';
    plain += safe ? c : '_';
  }
  std::string field = "Content-Disposition: attachment; filename=\"" + plain + ".bin\"";
  if (plain != name) field += "; filename*=UTF-8''" + plugins::percent_encode(name) + ".bin";
  return field + "\r\n";
}

}  // namespace

std::string validator_fields(const sdk::Firmware& firmware) {
  std::string fields;
  if (is_etag(firmware.tag)) fields += "ETag: \"" + firmware.tag + "\"\r\n";
  if (firmware.modified_ms > 0) {
    std::array<char, kDateSize> date{};
    format_date(firmware.modified_ms / 1000, date.data());
    fields += "Last-Modified: ";
    fields.append(date.data(), date.size());
    fields += "\r\n";
  }
  return fields;
}

std::string entity_fields(const sdk::Firmware& firmware, bool multipart) {
  std::string fields;
  if (!multipart) fields += "Content-Type: application/octet-stream\r\n";
  fields += validator_fields(firmware);
  fields += "Accept-Ranges: bytes\r\n";
  if (is_sha256(firmware.sha256)) {
    fields += "Repr-Digest: sha-256=:" + plugins::base64_encode(unhex(firmware.sha256)) + ":\r\n";
  }
  return fields + disposition(firmware);
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string part_head(std::string_view boundary, std::uint64_t offset, std::uint64_t length,
                      std::uint64_t size) {
  std::string text = "\r\n--";
  text += boundary;
  text += "\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ";
  text += std::to_string(offset) + "-" + std::to_string(offset + length - 1) + "/" + std::to_string(size);
  text += "\r\n\r\n";
  return text;
}

std::string part_tail(std::string_view boundary) {
  std::string text = "\r\n--";
  text += boundary;
  text += "--\r\n";
  return text;
}

}  // namespace otagate::http
