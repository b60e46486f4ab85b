#include "codes.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "problem.hpp"

namespace otagate::coap {
namespace {

using plugins::devices::Method;

constexpr std::array<std::pair<std::uint16_t, std::string_view>, 6> kFormats{{
    {0, "text/plain"},
    {40, "application/link-format"},
    {41, "application/xml"},
    {42, "application/octet-stream"},
    {50, "application/json"},
    {60, "application/cbor"},
}};

std::uint8_t success(int status, Method method, bool has_body) {
  if (status == 201) return code_of(2, 1);
  if (has_body || method == Method::get) return code_of(2, 5);
  return method == Method::del ? code_of(2, 2) : code_of(2, 4);
}

}  // namespace

std::uint8_t code_of_status(int status, Method method, bool has_body) {
  if (status >= 200 && status < 300) return success(status, method, has_body);
  switch (status) {
    case 304: return code_of(2, 3);
    case 410: return code_of(4, 4);
    case 400:
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
    case 406:
    case 408:
    case 409:
    case 412:
    case 413:
    case 415:
    case 422:
    case 429: return code_of(4, static_cast<unsigned>(status - 400));
    case 500:
    case 501:
    case 502:
    case 503:
    case 504: return code_of(5, static_cast<unsigned>(status - 500));
    default: return status >= 400 && status < 500 ? code_of(4, 0) : code_of(5, 0);
  }
}

std::string_view media_type_of(std::uint32_t content_format) {
  for (const auto& [number, name] : kFormats) {
    if (number == content_format) return name;
  }
  return {};
}

std::optional<std::uint16_t> content_format_of(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  for (const auto& [number, name] : kFormats) {
    if (name == type) return number;
  }
  return std::nullopt;
}

}  // namespace otagate::coap
