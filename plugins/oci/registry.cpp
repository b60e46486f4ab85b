#include "oci/registry.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"
#include "common/object_store/store_calls.hpp"
#include "oci/documents.hpp"
#include "oci/manifest.hpp"
#include "oci/sha256.hpp"

namespace otagate::oci {
namespace {

using common::HttpHead;
using common::HttpRequest;
using common::HttpResponse;
using common::value_or_throw;
using sdk::Failure;

// 60,000 tags of the longest kind: servers that page not at all send them in one answer.
constexpr std::size_t kMaxTagsPage = 8u << 20;
constexpr unsigned kMaxRedirects = 5;

bool success(long status) { return status >= 200 && status < 300; }
bool success_or_missing(long status) { return success(status) || status == 404; }
bool success_or_beyond(long status) { return success(status) || status == 416; }

std::string registry_url(const sdk::StoreHost& host) {
  std::string url = host.option("registry").string();
  while (url.ends_with('/')) url.pop_back();
  const common::UrlParts parts = value_or_throw(common::parse_url(url));
  if (parts.has_query || parts.has_user || url.find('#') != std::string::npos ||
      parts.path.ends_with("/v2")) {
    throw Failure(
        OTAGATE_INVALID,
        "option 'registry' must be a URL such as https://registry.example:5000, without user, query "
        "and the /v2 of its API");
  }
  return url;
}

Credentials read_credentials(const sdk::StoreHost& host, const std::string& url) {
  Credentials who;
  who.user = host.option("username").string("");
  who.password = host.option("password").string("");
  const std::string config = host.option("docker_config").string("");
  if (who.user.empty() != who.password.empty()) {
    throw Failure(OTAGATE_INVALID, "set both 'username' and 'password', or neither");
  }
  if (who.user.find(':') != std::string::npos)
    throw Failure(OTAGATE_INVALID, "'username' must not contain ':'");
  if (config.empty()) return who;
  if (!who.user.empty()) {
    throw Failure(OTAGATE_INVALID, "set 'username' and 'password', or 'docker_config', not both");
  }
  const common::UrlParts parts = value_or_throw(common::parse_url(url));
  return value_or_throw(read_docker_config(config, parts.authority()));
}

RealmRules realm_rules(const sdk::StoreHost& host, const std::string& url) {
  RealmRules rules{url, host.option("token_realms").strings()};
  for (const std::string& one : rules.allowed) {
    if (!common::parse_url(one)) {
      throw Failure(OTAGATE_INVALID,
                    "option 'token_realms' holds origins such as https://auth.example, not '" +
                        common::printable(one, 100) + "'");
    }
  }
  return rules;
}

}  // namespace

Registry::Registry(sdk::StoreHost& host)
    : host_(host),
      url_(registry_url(host)),
      http_(common::make_http_client(host)),
      authenticator_(*http_, read_credentials(host, url_), realm_rules(host, url_)) {
  const common::UrlParts parts = value_or_throw(common::parse_url(url_));
  if (parts.scheme != "https" && !parts.loopback()) {
    host_.warn("the registry " + url_ +
               " is not https: whoever is on the way can read and change what is fetched" +
               (authenticator_.anonymous() ? "" : ", and read the password"));
  }
}

std::string Registry::api(const std::string& repository, std::string_view rest) const {
  return url_ + "/v2/" + repository + "/" + std::string(rest);
}

// What a server names must stay on it: the request carries credentials.
std::string Registry::same_origin(const std::string& base, const std::string& location) const {
  std::string target = value_or_throw(common::resolve_url(base, location));
  const common::UrlParts theirs = value_or_throw(common::parse_url(target));
  const common::UrlParts ours = value_or_throw(common::parse_url(url_));
  if (theirs.origin() != ours.origin() || theirs.has_user) {
    throw Failure(OTAGATE_PERMANENT, common::redacted_url(base) + " leads to " +
                                         common::redacted_url(target) + ", another server: refused");
  }
  return target;
}

HttpResponse Registry::send(const std::string& url, HttpRequest request, const std::string& repository,
                            Access access, Good good, const Cancelled& cancelled) {
  request.url = url;
  request.cancelled = cancelled;
  if (request.method == "GET" || request.method == "HEAD") request.max_redirects = kMaxRedirects;
  const std::size_t fixed = request.headers.size();
  std::string authorization = authenticator_.known(repository, access);
  for (bool again = true;; again = false) {
    request.headers.resize(fixed);
    if (!authorization.empty()) request.headers.push_back({"Authorization", authorization});
    host_.count("requests");
    HttpResponse response = value_or_throw(http_->perform(request));
    if (good(response.head.status)) return response;
    if (response.head.status == 401 && again) {
      authorization =
          value_or_throw(authenticator_.answer(response.head, repository, access, authorization, cancelled));
      if (!authorization.empty()) continue;
    }
    common::throw_failure(
        failure_of(response, {request.method, request.url, repository, authenticator_.anonymous()}));
  }
}

TagsPage Registry::tags(const std::string& repository, const std::string& page, std::uint32_t limit,
                        const Cancelled& cancelled) {
  const std::string first = api(repository, "tags/list?n=" + std::to_string(limit));
  const std::string url = page.empty() ? first : same_origin(first, page);
  HttpRequest request;
  request.max_body = kMaxTagsPage;
  HttpResponse response;
  try {
    response = send(url, std::move(request), repository, Access::pull, success, cancelled);
  } catch (Failure& failure) {
    // "Not found" is for objects: a repository that is not there is a configuration to look at.
    if (failure.status != OTAGATE_NOT_FOUND) throw;
    throw Failure(OTAGATE_PERMANENT, failure.message + "; check 'repositories' and 'registry'");
  }
  TagsPage out;
  out.tags = value_or_throw(parse_tags(response.body));
  const std::string* link = response.head.find("link");
  if (const auto next = link ? next_link(*link) : std::nullopt) {
    out.next = same_origin(url, *next).substr(value_or_throw(common::parse_url(url_)).scheme.size() + 3);
    out.next.erase(0, out.next.find('/'));
    if (out.next == page) {
      throw Failure(OTAGATE_PERMANENT,
                    common::redacted_url(url) + ": the next page of tags is the same page again");
    }
  }
  return out;
}

RawManifest Registry::checked(HttpResponse response, const std::string& reference,
                              const std::string& url) const {
  RawManifest out;
  out.body = std::move(response.body);
  out.digest = digest_of(out.body);
  if (const std::string* type = response.head.find("content-type")) out.content_type = *type;
  // By digest the bytes must be the ones; by tag they are whatever the tag names, but the server's word for
  // it must fit.
  const std::string* said = response.head.find("docker-content-digest");
  const std::string& expected = valid_digest(reference) || !said ? reference : *said;
  if (valid_digest(expected) && expected != out.digest) {
    throw Failure(OTAGATE_TRANSIENT,
                  "GET " + common::redacted_url(url) + ": the answer does not have the digest " + expected);
  }
  return out;
}

std::optional<RawManifest> Registry::manifest(const std::string& repository, const std::string& reference,
                                              const Cancelled& cancelled) {
  const std::string url = api(repository, "manifests/" + reference);
  HttpRequest request;
  request.max_body = kMaxManifest;
  request.headers.push_back({"Accept", accepted_media_types(), false});
  HttpResponse response =
      send(url, std::move(request), repository, Access::pull, success_or_missing, cancelled);
  if (response.head.status == 404) return std::nullopt;
  return checked(std::move(response), reference, url);
}

std::optional<std::string> Registry::resolve(const std::string& repository, const std::string& tag,
                                             const Cancelled& cancelled) {
  HttpRequest request;
  request.method = "HEAD";
  request.headers.push_back({"Accept", accepted_media_types(), false});
  const HttpResponse response = send(api(repository, "manifests/" + tag), std::move(request), repository,
                                     Access::pull, success_or_missing, cancelled);
  if (response.head.status == 404) return std::nullopt;
  const std::string* digest = response.head.find("docker-content-digest");
  if (digest && valid_digest(*digest)) return *digest;
  const auto whole = manifest(repository, tag, cancelled);
  return whole ? std::optional(whole->digest) : std::nullopt;
}

std::string Registry::small_blob(const std::string& repository, const std::string& digest, std::size_t limit,
                                 const Cancelled& cancelled) {
  HttpRequest request;
  request.max_body = limit;
  HttpResponse response = blob(repository, digest, std::move(request), cancelled);
  if (digest_of(response.body) != digest) {
    throw Failure(OTAGATE_TRANSIENT,
                  "GET " + common::redacted_url(api(repository, "blobs/" + digest)) + ": other bytes came");
  }
  return std::move(response.body);
}

HttpResponse Registry::blob(const std::string& repository, const std::string& digest, HttpRequest request,
                            const Cancelled& cancelled) {
  return send(api(repository, "blobs/" + digest), std::move(request), repository, Access::pull,
              success_or_beyond, cancelled);
}

std::optional<RawManifest> Registry::referrers(const std::string& repository, const std::string& digest,
                                               const Cancelled& cancelled) {
  const std::string url = api(repository, "referrers/" + digest);
  HttpRequest request;
  request.max_body = kMaxManifest;
  request.headers.push_back({"Accept", std::string(media_type::kIndex), false});
  const auto answered = [](long status) {
    return success(status) ||
           (status >= 400 && status < 500 && status != 401 && status != 403 && status != 429);
  };
  HttpResponse response = send(url, std::move(request), repository, Access::pull, answered, cancelled);
  if (response.head.status >= 400) return std::nullopt;
  RawManifest out;
  out.body = std::move(response.body);
  if (const std::string* type = response.head.find("content-type")) out.content_type = *type;
  return out;
}

bool Registry::has_blob(const std::string& repository, const std::string& digest,
                        const Cancelled& cancelled) {
  HttpRequest request;
  request.method = "HEAD";
  const HttpResponse response = send(api(repository, "blobs/" + digest), std::move(request), repository,
                                     Access::push, success_or_missing, cancelled);
  return response.head.status != 404;
}

void Registry::put_blob(const std::string& repository, const std::string& digest, common::HttpBody body,
                        const Cancelled& cancelled) {
  const std::string start = api(repository, "blobs/uploads/");
  HttpRequest open;
  open.method = "POST";
  open.body = common::HttpBody{{}, -1, 0};
  const HttpResponse opened = send(start, std::move(open), repository, Access::push, success, cancelled);
  const std::string* location = opened.head.find("location");
  if (!location)
    throw Failure(OTAGATE_PERMANENT, "POST " + start + ": the answer does not say where to upload to");
  std::string target = same_origin(start, *location);
  target +=
      (target.find('?') == std::string::npos ? "?digest=" : "&digest=") + common::percent_encode(digest);
  HttpRequest put;
  put.method = "PUT";
  put.headers.push_back({"Content-Type", "application/octet-stream"});
  put.body = body;
  send(target, std::move(put), repository, Access::push, success, cancelled);
}

void Registry::put_manifest(const std::string& repository, const std::string& reference,
                            const std::string& body, std::string_view type, const Cancelled& cancelled) {
  HttpRequest put;
  put.method = "PUT";
  put.headers.push_back({"Content-Type", std::string(type)});
  put.body = common::HttpBody{body, -1, body.size()};
  send(api(repository, "manifests/" + reference), std::move(put), repository, Access::push, success,
       cancelled);
}

}  // namespace otagate::oci
