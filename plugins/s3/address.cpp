#include "s3/address.hpp"

#include <algorithm>

namespace otagate::s3 {
namespace {

bool bucket_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_';
}

bool is_aws(const std::string& host) {
  return host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
}

// Without brackets and with nothing but digits and dots: no name that a bucket could be put before.
bool is_literal(const std::string& host) {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

common::Outcome<Address> Address::make(const std::string& endpoint, const std::string& bucket,
                                       const std::string& region, const std::string& addressing) {
  const auto invalid = [](std::string message) { return common::fail(OTAGATE_INVALID, std::move(message)); };
  if (bucket.size() < 3 || bucket.size() > 255 || !std::all_of(bucket.begin(), bucket.end(), bucket_char) ||
      bucket.find("..") != std::string::npos) {
    return invalid("option 'bucket': '" + common::printable(bucket, 80) +
                   "' is no bucket's name: 3 to 63 letters, digits, '.' and '-'");
  }
  if (region.empty() ||
      region.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
          std::string::npos) {
    return invalid("option 'region': '" + common::printable(region, 80) +
                   "' is no region; write it like eu-west-1");
  }
  std::string url = endpoint;
  if (url.empty()) {
    url = "https://s3." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
  }
  common::Outcome<common::UrlParts> parts = common::parse_url(url);
  if (!parts) return common::fail(std::move(parts.error()).with_context("option 'endpoint'"));
  if (parts->has_user || parts->has_query) {
    return invalid("option 'endpoint': leave user, query and fragment out of '" + common::redacted_url(url) +
                   "'");
  }
  Address address;
  address.where_ = std::move(*parts);
  address.base_ = address.where_.path;
  while (address.base_.ends_with('/')) address.base_.pop_back();

  const std::string& host = address.where_.host;
  bool virtual_host = addressing == "virtual";
  if (addressing == "auto") {
    virtual_host = is_aws(host) && (bucket.find('.') == std::string::npos || !address.tls());
  } else if (addressing != "path" && !virtual_host) {
    return invalid("option 'addressing' must be \"auto\", \"path\" or \"virtual\", not \"" +
                   common::printable(addressing, 40) + "\"");
  }
  if (!virtual_host) {
    address.base_ += "/" + bucket;
    return address;
  }
  if (is_literal(host)) {
    return invalid("option 'addressing': virtual hosts need an endpoint with a name, not '" + host +
                   "'; use addressing = \"path\"");
  }
  const bool host_name = std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  if (!host_name || bucket.size() > 63) {
    return invalid("option 'bucket': '" + bucket +
                   "' cannot be part of a host name; use addressing = \"path\"");
  }
  // An endpoint may already be the bucket's own.
  if (!host.starts_with(bucket + ".")) address.where_.host = bucket + "." + host;
  return address;
}

std::string Address::bucket_path() const { return base_.empty() ? "/" : base_; }

std::string Address::object_path(std::string_view key) const {
  return base_ + "/" + common::percent_encode(key, common::EncodeSlash::no);
}

std::string Address::url(std::string_view path, std::string_view query) const {
  std::string out = where_.scheme + "://" + where_.authority();
  out.append(path);
  if (!query.empty()) out.append("?").append(query);
  return out;
}

}  // namespace otagate::s3
