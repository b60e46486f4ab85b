#include "hawkbit/artifacts.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "common/http_client/classify.hpp"
#include "common/object_store/download.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/store_calls.hpp"

namespace otagate::hawkbit {
namespace {

constexpr std::size_t kMaxKeys = 4096;
constexpr std::size_t kMaxPlaces = 8;
constexpr std::size_t kMaxUrl = 4096;
constexpr unsigned kMaxRedirects = 3;

bool is_sha1(std::string_view text) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 40 && std::all_of(text.begin(), text.end(), hex);
}

// hawkBit's entity tag is the artifact's SHA-1, which the token holds. That of any other server says nothing
// about the token, so the answer passes with the tag that is expected.
common::HttpHead judged(const common::HttpHead& head, std::string_view change_token) {
  common::HttpHead out = head;
  const std::optional<common::Token> expected = common::parse_token(change_token);
  if (!expected || (is_sha1(common::etag_of(head)) && !expected->etag.empty())) return out;
  std::erase_if(out.headers, [](const auto& header) { return header.first == "etag"; });
  out.headers.emplace_back("etag", common::in_quotes(expected->etag));
  return out;
}

}  // namespace

void Artifacts::exchange_places(sdk::Assignment& wish) {
  const std::scoped_lock lock(mutex_);
  for (sdk::AssignmentPart& part : wish.parts) {
    const auto [at, added] = places_.try_emplace(part.object.key);
    if (added) {
      order_.push_back(part.object.key);
      if (order_.size() > kMaxKeys) {
        places_.erase(order_.front());
        order_.pop_front();
      }
    }
    std::vector<std::string>& places = at->second;
    for (const std::string& url : part.object.locators) {
      std::erase(places, url);
      places.insert(places.begin(), url);
    }
    if (places.size() > kMaxPlaces) places.resize(kMaxPlaces);
    part.object.locators = places;
  }
}

std::string Artifacts::place_of(std::string_view key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = places_.find(key);
  return found == places_.end() || found->second.empty() ? std::string() : found->second.front();
}

std::string Artifacts::target_of(const common::UrlParts& url) const {
  const std::string mark = "/" + common::percent_encode(server_.tenant()) + "/controller/v1/";
  const std::size_t at = url.path.find(mark);
  if (at == std::string::npos) return {};
  const std::string_view rest = std::string_view(url.path).substr(at + mark.size());
  return common::percent_decode(rest.substr(0, rest.find('/')));
}

void Artifacts::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  common::check_key(request.key);
  std::string place = request.locator.empty() ? place_of(request.key) : std::string(request.locator);
  if (place.empty())
    throw sdk::Failure(OTAGATE_NOT_FOUND, "no target is known that was assigned this artifact");
  if (place.size() > kMaxUrl) throw sdk::Failure(OTAGATE_INVALID, "the artifact's URL is longer than 4 KiB");
  const common::UrlParts url = common::value_or_throw(common::parse_url(place));
  if (url.loopback() && !server_.loopback())
    throw sdk::Failure(OTAGATE_PERMANENT, "the artifact's URL leads to this machine: refused");

  common::Download download(request, sink);
  common::HttpRequest http = download.request();
  http.url = std::move(place);
  if (request.offset > 0 || request.length > 0)
    http.headers.push_back({"Range", common::byte_range(request.offset, request.length), false});
  std::string target;
  if (server_.owns(url)) {
    target = target_of(url);
    if (std::string value = server_.authorization(target); !value.empty())
      http.headers.push_back({"Authorization", std::move(value), true});
  }
  http.max_redirects = kMaxRedirects;
  http.cancelled = [&sink] { return sink.stopped(); };
  http.on_head = [&request, checks = std::move(http.on_head)](const common::HttpHead& head) {
    return checks(judged(head, request.change_token));
  };
  const common::HttpResponse response = common::value_or_throw(server_.http().perform(http));
  const long status = response.head.status;
  if ((status < 200 || status > 299) && status != 416) {
    if (server_.owns(url)) common::throw_failure(server_.refusal(response, "GET", http.url, target));
    common::throw_failure(common::status_failure(response.head, "GET", http.url));
  }
  if (!sink.stopped()) download.finish(response.head, http.url);
}

}  // namespace otagate::hawkbit
