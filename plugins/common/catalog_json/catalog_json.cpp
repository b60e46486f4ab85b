#include "common/catalog_json/catalog_json.hpp"

#include <array>

#include <boost/json.hpp>

namespace otagate::plugins {
namespace {

constexpr std::array<std::string_view, 5> kVerified = {"none", "length", "format", "digest", "signature"};

boost::json::value text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return boost::json::value(text);
}

boost::json::object item(const sdk::Firmware& firmware) {
  boost::json::object out;
  out["name"] = firmware.name;
  out["version"] = firmware.version;
  out["type"] = text_or_null(firmware.type);
  if (firmware.size == OTAGATE_SIZE_UNKNOWN) {
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

boost::json::array item_list(const std::vector<sdk::Firmware>& items) {
  boost::json::array list;
  list.reserve(items.size());
  for (const auto& firmware : items) list.push_back(item(firmware));
  return list;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15U];
  }
  return out;
}

std::string firmware_path(const sdk::Firmware& firmware) {
  auto path = "/firmware/" + percent_encode(firmware.name) + "/" + percent_encode(firmware.version);
  if (!firmware.type.empty()) path += "/" + percent_encode(firmware.type);
  return path;
}

std::string next_page_path(const CatalogPage& page, std::string_view cursor) {
  if (cursor.empty()) return {};
  std::string path = "/firmware?";
  const auto add = [&path](std::string_view key, std::string_view value) {
    if (!value.empty()) path.append(key).append(percent_encode(value)).append("&");
  };
  add("name=", page.name);
  add("type=", page.type);
  add("store=", page.store);
  if (page.limit != kDefaultPage) add("limit=", std::to_string(page.limit));
  return path + "cursor=" + percent_encode(cursor);
}

std::string catalog_json(const std::vector<sdk::Firmware>& items, std::string_view next) {
  boost::json::object body;
  body["items"] = item_list(items);
  body["next"] = text_or_null(next);
  return boost::json::serialize(body) + "\n";
}

std::string choices_json(const std::vector<sdk::Firmware>& items) {
  boost::json::object body;
  body["message"] = "several device types have that name and version: follow one url, or add ?type=";
  body["choices"] = item_list(items);
  return boost::json::serialize(body) + "\n";
}

}  // namespace otagate::plugins
