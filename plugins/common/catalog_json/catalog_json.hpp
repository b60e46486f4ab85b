// Firmware as JSON, the same over every transport that shows the catalog.
#pragma once

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

// {"items": [...], "next": ...}; `next` is a path to follow, or empty for null.
std::string catalog_json(const std::vector<sdk::Firmware>& items, std::string_view next);

// {"message": ..., "choices": [...]} with items of the same shape.
std::string choices_json(const std::vector<sdk::Firmware>& items);

}  // namespace otagate::plugins
