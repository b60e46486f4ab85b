#include "azure/address.hpp"

#include <algorithm>

#include "common/object_store/store_calls.hpp"

namespace otagate::azure {
namespace {

// "Naming and Referencing Containers, Blobs, and Metadata": 3 to 63 of a-z, 0-9 and single '-', or one of
// the containers that Azure makes itself.
bool container_name(const std::string& name) {
  if (name == "$root" || name == "$web" || name == "$logs") return true;
  return name.size() >= 3 && name.size() <= 63 && !name.starts_with('-') && !name.ends_with('-') &&
         name.find("--") == std::string::npos &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

}  // namespace

bool usable_name(std::string_view name) {
  if (!common::usable_key(name) || !common::valid_utf8(name)) return false;
  for (std::size_t at = 0, end = 0; at <= name.size(); at = end + 1) {
    end = std::min(name.find('/', at), name.size());
    const std::string_view segment = name.substr(at, end - at);
    if (segment == "." || segment == "..") return false;
  }
  return true;
}

common::Outcome<Address> Address::make(const std::string& endpoint, const std::string& container) {
  if (!container_name(container)) {
    return common::fail(OTAGATE_INVALID, "option 'container': '" + common::printable(container, 80) +
                                             "' is no container's name: 3 to 63 of a-z, 0-9 and single '-'");
  }
  common::Outcome<common::UrlParts> parts = common::parse_url(endpoint);
  if (!parts) return common::fail(std::move(parts.error()).with_context("option 'endpoint'"));
  if (parts->has_user || parts->has_query) {
    return common::fail(OTAGATE_INVALID, "option 'endpoint': leave user, query and fragment out of '" +
                                             common::redacted_url(endpoint) + "'");
  }
  Address address;
  address.where_ = std::move(*parts);
  address.base_ = address.where_.path;
  while (address.base_.ends_with('/')) address.base_.pop_back();
  address.container_ = container;
  return address;
}

std::string Address::blob_path(std::string_view key) const {
  return container_path() + "/" + common::percent_encode(key, common::EncodeSlash::no);
}

std::string Address::url(std::string_view path, std::string_view query) const {
  std::string out = where_.scheme + "://" + where_.authority();
  out.append(path);
  if (!query.empty()) out.append("?").append(query);
  return out;
}

}  // namespace otagate::azure
