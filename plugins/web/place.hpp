// Where things are: the listing's URL, the URLs that it names, and the keys that stand for them.
#pragma once

#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "common/http_client/url.hpp"

namespace otagate::web {

// The place that a store is configured for. A key is the path below the listing's folder, decoded, where
// that says all there is; else (another host or folder, a query, an unusual encoding) it is the whole URL.
class Place {
 public:
  // Errors are OTAGATE_INVALID and name the option 'index_url'.
  static common::Outcome<Place> make(const std::string& index_url);

  const std::string& index_url() const { return index_url_; }
  // Whether credentials may go there.
  bool own(std::string_view url) const;
  std::string origin() const { return where_.origin(); }
  bool tls() const { return where_.scheme == "https"; }
  bool loopback() const { return where_.loopback(); }

  // What `reference` means on the page at `page_url`. Refused with OTAGATE_DENIED: leaving TLS, this
  // machine's own addresses when the listing comes from elsewhere, and URLs with a user.
  common::Outcome<std::string> resolve(const std::string& page_url, const std::string& reference) const;

  // For a URL of resolve() or one made below.
  std::string key_of(const std::string& url) const;
  // OTAGATE_NOT_FOUND for a key that key_of() never gives, with the reasons of resolve() for a URL.
  common::Outcome<std::string> url_of(std::string_view key) const;

 private:
  common::Outcome<std::string> checked(std::string url) const;

  std::string index_url_;
  std::string base_;  // of the paths in keys: up to the last '/' of the listing's path
  common::UrlParts where_;
};

// The URL of what is called `name` in the folder at `folder_url`, which ends with '/'.
std::string child_url(const std::string& folder_url, std::string_view name, bool directory);

}  // namespace otagate::web
