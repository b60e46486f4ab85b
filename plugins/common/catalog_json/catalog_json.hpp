// Firmware as JSON, the same over every transport that shows the catalog.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "otagate/cpp/transport_host.hpp"

namespace otagate::plugins {

// "/firmware/<name>/<version>[/<type>]", percent-encoded. With its type it names one firmware whoever
// asks.
std::string firmware_path(const sdk::Firmware& firmware);

// Everything but RFC 3986's unreserved characters as %XX.
std::string percent_encode(std::string_view text);

// How many items a page of the catalog has where the peer does not say, and at most.
inline constexpr std::uint32_t kDefaultPage = 100;
inline constexpr std::uint32_t kMaxPage = 1000;

// What selects a page.
struct CatalogPage {
  std::string_view name;
  std::string_view type;
  std::string_view store;
  std::uint32_t limit = kDefaultPage;
};

// The path of the page that begins at `cursor`, or nothing where that is empty: the last one was shown.
std::string next_page_path(const CatalogPage& page, std::string_view cursor);

// {"items": [...], "next": ...}; `next` is a path to follow, or empty for null.
std::string catalog_json(const std::vector<sdk::Firmware>& items, std::string_view next);

// {"message": ..., "choices": [...]} with items of the same shape.
std::string choices_json(const std::vector<sdk::Firmware>& items);

}  // namespace otagate::plugins
