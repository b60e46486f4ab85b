#include "common/object_store/query.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"

namespace otagate::common {

std::string query_string(const Params& query) {
  Params encoded;
  for (const auto& [name, value] : query) {
    encoded.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

}  // namespace otagate::common
