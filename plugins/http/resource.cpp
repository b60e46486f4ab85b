#include "http/resource.hpp"

#include <algorithm>
#include <array>

#include <boost/json.hpp>

#include "http/authorization.hpp"
#include "http/conditions.hpp"
#include "http/target.hpp"

namespace otagate::http {
namespace {

constexpr std::array<std::string_view, 5> kVerified = {"none", "length", "format", "digest", "signature"};

int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

std::string unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(hex_digit(hex[i]) * 16 + hex_digit(hex[i + 1]));
  }
  return bytes;
}

boost::json::value text_or_null(const std::string& text) {
  if (text.empty()) return nullptr;
  return boost::json::value(text);
}

boost::json::object item(const Firmware& firmware) {
  boost::json::object out;
  out["name"] = firmware.name;
  out["version"] = firmware.version;
  out["type"] = text_or_null(firmware.type);
  if (firmware.size == kSizeUnknown) {
    out["size"] = nullptr;
  } else {
    out["size"] = firmware.size;
  }
  out["sha256"] = text_or_null(firmware.sha256);
  out["verified"] = firmware.verified < kVerified.size() ? kVerified[firmware.verified] : kVerified[0];
  out["format"] = text_or_null(firmware.format);
  out["store"] = firmware.store;
  out["url"] = firmware_path(firmware);
  return out;
}

boost::json::array item_list(const std::vector<Firmware>& items) {
  boost::json::array list;
  list.reserve(items.size());
  for (const Firmware& firmware : items) list.push_back(item(firmware));
  return list;
}

// The plain form of a file name is a quoted string of harmless characters; RFC 6266's encoded form is
// added where that loses something.
std::string disposition(const Firmware& firmware) {
  const std::string name = firmware.name.empty() ? firmware.sha256 : firmware.name + "-" + firmware.version;
  std::string plain;
  for (const char c : name) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_' || c == '+';
    plain += safe ? c : '_';
  }
  std::string field = "Content-Disposition: attachment; filename=\"" + plain + ".bin\"";
  if (plain != name) field += "; filename*=UTF-8''" + percent_encode(name) + ".bin";
  return field + "\r\n";
}

}  // namespace

std::string firmware_path(const Firmware& firmware) {
  std::string path = "/firmware/" + percent_encode(firmware.name) + "/" + percent_encode(firmware.version);
  if (!firmware.type.empty()) path += "/" + percent_encode(firmware.type);
  return path;
}

std::string validator_fields(const Firmware& firmware) {
  std::string fields;
  if (!firmware.tag.empty()) fields += "ETag: \"" + firmware.tag + "\"\r\n";
  if (firmware.modified_s > 0) {
    std::array<char, kDateSize> date{};
    format_date(firmware.modified_s, date.data());
    fields += "Last-Modified: ";
    fields.append(date.data(), date.size());
    fields += "\r\n";
  }
  return fields;
}

std::string entity_fields(const Firmware& firmware, bool multipart) {
  std::string fields;
  if (!multipart) fields += "Content-Type: application/octet-stream\r\n";
  fields += validator_fields(firmware);
  fields += "Accept-Ranges: bytes\r\n";
  if (is_sha256(firmware.sha256)) {
    fields += "Repr-Digest: sha-256=:" + base64_encode(unhex(firmware.sha256)) + ":\r\n";
  }
  return fields + disposition(firmware);
}

std::string catalog_body(const std::vector<Firmware>& items, std::string_view next) {
  boost::json::object body;
  body["items"] = item_list(items);
  body["next"] = text_or_null(std::string(next));
  return boost::json::serialize(body) + "\n";
}

std::string choices_body(const std::vector<Firmware>& items) {
  boost::json::object body;
  body["error"] = 300;
  body["reason"] = "Multiple Choices";
  body["message"] = "several device types have that name and version: follow one url, or add ?type=";
  body["choices"] = item_list(items);
  return boost::json::serialize(body) + "\n";
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
