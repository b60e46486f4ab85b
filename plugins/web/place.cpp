#include "web/place.hpp"

#include <utility>

namespace otagate::web {
namespace {

bool is_url(std::string_view key) { return key.starts_with("http://") || key.starts_with("https://"); }

// A path below a folder: no empty, "." or ".." part, no NUL. Such a path never looks like a URL.
bool is_below(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace

common::Outcome<Place> Place::make(const std::string& index_url) {
  common::Outcome<common::UrlParts> parts = common::parse_url(index_url);
  if (!parts) return common::fail(std::move(parts.error()).with_context("option 'index_url'"));
  if (parts->has_user) {
    return common::fail(OTAGATE_INVALID, "option 'index_url': leave the user out of '" +
                                             common::redacted_url(index_url) +
                                             "' and set 'credentials', 'user' and 'password'");
  }
  if (index_url.find('#') != std::string::npos) {
    return common::fail(OTAGATE_INVALID, "option 'index_url': leave the fragment (#...) out of '" +
                                             common::redacted_url(index_url) + "'");
  }
  Place place;
  place.where_ = std::move(*parts);
  // Spelled as the URLs of keys are: host in lower case, no needless port, a path.
  const std::string& path = place.where_.path;
  const std::string home = place.where_.scheme + "://" + place.where_.authority();
  const std::size_t query = index_url.find('?');
  place.index_url_ = home + path + (query == std::string::npos ? "" : index_url.substr(query));
  place.base_ = home + path.substr(0, path.rfind('/') + 1);
  return place;
}

bool Place::own(std::string_view url) const {
  const common::Outcome<common::UrlParts> parts = common::parse_url(url);
  return parts && parts->origin() == where_.origin();
}

common::Outcome<std::string> Place::checked(std::string url) const {
  const common::Outcome<common::UrlParts> parts = common::parse_url(url);
  if (!parts) return common::fail(parts.error());
  const auto denied = [&](const char* why) {
    return common::fail(OTAGATE_DENIED, common::redacted_url(url) + " " + why);
  };
  if (parts->has_user) return denied("names a user: credentials come from the options only");
  if (tls() && parts->scheme != "https") return denied("leaves TLS");
  if (parts->loopback() && !loopback()) return denied("is an address of this machine");
  return url;
}

common::Outcome<std::string> Place::resolve(const std::string& page_url, const std::string& reference) const {
  common::Outcome<std::string> url = common::resolve_url(page_url, reference);
  if (!url) {
    return common::fail(OTAGATE_INVALID, "'" + common::redacted_url(reference) + "' is no URL");
  }
  url->resize(std::min(url->find('#'), url->size()));
  return checked(std::move(*url));
}

std::string Place::key_of(const std::string& url) const {
  if (!url.starts_with(base_)) return url;
  const std::string_view rest = std::string_view(url).substr(base_.size());
  std::string path = common::percent_decode(rest);
  // What does not come back the same is kept as it is: a query, "%2F", capitals spelled as %41.
  if (!is_below(path) || common::percent_encode(path, common::EncodeSlash::no) != rest) return url;
  return path;
}

common::Outcome<std::string> Place::url_of(std::string_view key) const {
  if (is_url(key)) return checked(std::string(key));
  if (!is_below(key)) {
    return common::fail(OTAGATE_NOT_FOUND, "there is no object '" + common::printable(key, 80) + "'");
  }
  return base_ + common::percent_encode(key, common::EncodeSlash::no);
}

std::string child_url(const std::string& folder_url, std::string_view name, bool directory) {
  const std::string folder = folder_url.substr(0, folder_url.find('?'));
  return folder + common::percent_encode(name) + (directory ? "/" : "");
}

}  // namespace otagate::web
