#include "web/web_store.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/digests.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/store_calls.hpp"
#include "web/download.hpp"
#include "web/validator.hpp"

namespace otagate::web {
namespace {

using common::HttpHead;
using common::HttpRequest;
using common::HttpResponse;
using common::value_or_throw;
using sdk::Failure;

// A call of list() ends after so many requests, with what it has: a page has a deadline.
constexpr unsigned kRequestsPerPage = 20;
constexpr std::size_t kMaxWalks = 4;
constexpr std::chrono::milliseconds kLockPatience{100};

Format make_format(const sdk::StoreHost& host) {
  const std::string name = host.option("listing").string("auto");
  if (name == "json") return Format::index;
  if (name == "autoindex") return Format::folder;
  if (name == "auto") return Format::automatic;
  throw Failure(OTAGATE_INVALID, "option 'listing' must be \"json\", \"autoindex\" or \"auto\", not \"" +
                                     common::printable(name, 40) + "\"");
}

std::string make_authorization(const sdk::StoreHost& host) {
  const std::string kind = host.option("credentials").string("none");
  const std::string user = host.option("user").string("");
  const std::string password = host.option("password").string("");
  const std::string token = host.option("token").string("");
  const auto invalid = [](const std::string& why) { throw Failure(OTAGATE_INVALID, why); };
  if (kind == "none") {
    if (!user.empty() || !password.empty() || !token.empty()) {
      invalid(
          "set 'credentials' to \"basic\" or \"bearer\": without it 'user', 'password' and 'token' are not "
          "used");
    }
    return {};
  }
  if (kind == "basic") {
    if (user.empty() || password.empty()) invalid("credentials = \"basic\" needs 'user' and 'password'");
    if (user.find(':') != std::string::npos)
      invalid("option 'user': a colon cannot be part of a user's name");
    return "Basic " + common::to_base64(user + ":" + password);
  }
  if (kind != "bearer") {
    invalid("option 'credentials' must be \"none\", \"basic\" or \"bearer\", not \"" +
            common::printable(kind, 40) + "\"");
  }
  if (token.empty()) invalid("credentials = \"bearer\" needs 'token'");
  if (!common::plain_text(token) || token.find(' ') != std::string::npos) {
    invalid("option 'token' must be printable ASCII without spaces; check its file for stray characters");
  }
  return "Bearer " + token;
}

std::string make_advice(const sdk::StoreHost& host) {
  const std::string kind = host.option("credentials").string("none");
  if (kind == "basic") return "check 'user' and 'password'";
  if (kind == "bearer") return "check 'token'";
  return "the server wants to know who asks: set 'credentials'";
}

struct Cursor {
  std::uint64_t walk = 0;
  Walk::Position at{};
};

std::string write_cursor(const Cursor& cursor) {
  return std::to_string(cursor.walk) + "." + std::to_string(cursor.at.document) + "." +
         std::to_string(cursor.at.item);
}

Cursor read_cursor(std::string_view text) {
  const std::size_t first = text.find('.');
  const std::size_t second = text.rfind('.');
  const auto part = [&](std::size_t from, std::size_t to) {
    return common::parse_decimal(text.substr(from, to - from));
  };
  if (first != std::string_view::npos && second > first) {
    const auto walk = part(0, first);
    const auto document = part(first + 1, second);
    const auto item = part(second + 1, text.size());
    if (walk && document && item) return {*walk, {*document, *item}};
  }
  throw Failure(OTAGATE_INVALID, "the cursor is none of this store's");
}

std::uint32_t status_of(const HttpHead& head) { return common::classify_status(head.status, false); }

}  // namespace

WebStore::WebStore(sdk::StoreHost& host)
    : host_(host),
      place_(value_or_throw(Place::make(host.option("index_url").string()))),
      format_(make_format(host)),
      depth_(static_cast<unsigned>(std::clamp<std::int64_t>(host.option("depth").integer(8), 0, 32))),
      authorization_(make_authorization(host)),
      advice_(make_advice(host)),
      http_(common::make_http_client(host)) {
  if (format_ == Format::folder && !place_.index_url().ends_with('/')) {
    throw Failure(OTAGATE_INVALID, "option 'index_url': the URL of a folder ends with '/', write " +
                                       common::redacted_url(place_.index_url()) + "/");
  }
  if (!place_.tls() && !place_.loopback()) {
    host_.warn("'index_url' is not https: whoever is on the way can read and change what is fetched" +
               std::string(authorization_.empty() ? "" : ", and read the credentials"));
  }
}

sdk::Caps WebStore::caps() { return {OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR, 64 * 1024, 4}; }

HttpResponse WebStore::send(HttpRequest request, const std::string& url, sdk::Call& call) {
  request.url = url;
  if (!authorization_.empty() && place_.own(url)) {
    request.headers.push_back({"Authorization", authorization_, true});
  }
  request.cancelled = [&call] { return call.stopped(); };
  host_.count("requests");
  return value_or_throw(http_->perform(request));
}

void WebStore::refuse(const HttpHead& head, const char* method, const std::string& url,
                      bool of_listing) const {
  common::Failure failure = common::status_failure(head, method, url);
  if (head.status >= 300 && head.status < 400) {
    failure.status = OTAGATE_PERMANENT;
    const std::string* location = head.find("location");
    if (!of_listing) {
      failure.message += "; more than 5 redirects, one after the other";
    } else if (location) {
      failure.message += "; it is at " + common::redacted_url(*location) + ", set 'index_url' to it";
    }
  } else if (failure.status == OTAGATE_DENIED) {
    failure.message += "; " + (place_.own(url) ? advice_
                                               : "credentials are sent to " + place_.origin() +
                                                     " only: this must do without");
  } else if (of_listing && (failure.status == OTAGATE_NOT_FOUND || failure.status == OTAGATE_INVALID)) {
    failure.status = OTAGATE_PERMANENT;
    failure.message += "; check 'index_url'";
  }
  throw Failure(failure.status, std::move(failure.message), failure.retry_after_ms);
}

DocumentPtr WebStore::fetch_document(const std::string& url, Format format, sdk::Call& call) {
  if (!place_.own(url)) {
    throw Failure(OTAGATE_PERMANENT, "the index goes on at " + common::redacted_url(url) +
                                         ", which is another server; its pages must be on one");
  }
  const auto known = documents_.find(url);
  const DocumentPtr before = known == documents_.end() ? nullptr : known->second;
  HttpRequest request;
  request.max_body = kMaxPageBytes;
  request.headers.push_back({"Accept", "application/json"});
  if (before && !before->etag.empty()) request.headers.push_back({"If-None-Match", before->etag});
  if (before && !before->last_modified.empty()) {
    request.headers.push_back({"If-Modified-Since", before->last_modified});
  }
  const HttpResponse response = send(std::move(request), url, call);
  if (response.head.status == 304 && before) return before;
  if (response.head.status == 404 && url != place_.index_url() && format == Format::folder) {
    return nullptr;  // removed since its parent was listed
  }
  if (response.head.status != 200) refuse(response.head, "GET", url, true);
  return read_document(response, url, format);
}

DocumentPtr WebStore::read_document(const HttpResponse& response, const std::string& url, Format format) {
  common::Outcome<Page> page = parse_page(response.body, format);
  if (!page) {
    throw Failure(page.error().status, "GET " + common::redacted_url(url) + ": " + page.error().message);
  }
  if (page->format == Format::folder && !url.substr(0, url.find('?')).ends_with('/')) {
    throw Failure(OTAGATE_PERMANENT,
                  "the URL of a folder ends with '/': set 'index_url' to " + common::redacted_url(url) + "/");
  }
  if (!page->next.empty()) {
    page->next = value_or_throw(place_.resolve(url, page->next).map_error([](common::Failure failure) {
      failure.status = OTAGATE_PERMANENT;
      return std::move(failure).with_context("'next' of the index");
    }));
  }
  auto document = std::make_shared<Document>(make_document(*page, url, place_));
  const Validator validator = validator_of(response.head, OTAGATE_SIZE_UNKNOWN);
  document->etag = validator.etag;
  if (validator.modified > 0) document->last_modified = *response.head.find("last-modified");
  if (page->skipped > 0) {
    std::string why;
    for (const std::string& reason : page->reasons) why += (why.empty() ? "" : "; ") + reason;
    host_.event(OTAGATE_LOG_WARN, "entries_skipped", common::redacted_url(url),
                std::to_string(page->skipped) + " entries of the listing are left out: " + why);
  }
  return document;
}

void WebStore::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  std::unique_lock lock(list_mutex_, std::defer_lock);
  while (!lock.try_lock_for(kLockPatience)) {
    if (sink.stopped()) return;
  }
  Cursor cursor;
  if (request.cursor.empty()) {
    cursor.walk = ++last_walk_;
    walks_.emplace(cursor.walk, std::make_unique<Walk>(place_.index_url(), format_, depth_));
    if (walks_.size() > kMaxWalks) walks_.erase(walks_.begin());
  } else {
    cursor = read_cursor(request.cursor);
  }
  const auto found = walks_.find(cursor.walk);
  if (found == walks_.end()) {
    throw Failure(OTAGATE_TRANSIENT, "the listing was begun anew in the meantime");
  }
  Walk& walk = *found->second;
  const auto fetch = [&](const std::string& url, Format format) { return fetch_document(url, format, sink); };
  const std::uint32_t limit = std::clamp(request.limit, 1u, 1000u);
  unsigned requests = 0;
  for (std::uint32_t listed = 0; listed < limit && requests < kRequestsPerPage;) {
    if (sink.stopped()) return;
    const Document::Item* item = walk.next(cursor.at);
    if (!item) {
      if (walk.ended(cursor.at)) break;
      walk.advance(fetch);
      ++requests;
      continue;
    }
    if (item->object.change_token.empty()) ++requests;
    const std::optional<sdk::Object> object = complete(*item, sink);
    if (!object) continue;
    if (!sink.object(*object)) return;
    ++listed;
  }
  if (!walk.ended(cursor.at)) return sink.next(write_cursor(cursor));
  documents_ = walk.documents();
  std::erase_if(documents_, [](const auto& entry) { return !entry.second->conditional(); });
}

std::optional<sdk::Object> WebStore::complete(const Document::Item& item, sdk::Call& call) {
  sdk::Object object = item.object;
  const std::string url = value_or_throw(place_.url_of(object.key));
  if (!object.change_token.empty()) {
    object.ranges = keeps_to_ranges(url, call);
    return object;
  }
  std::optional<Headed> known = memory_.headed(object.key, item.entry);
  if (!known) {
    try {
      known = head(url, item, call);
    } catch (const Failure& failure) {
      if (failure.status != OTAGATE_NOT_FOUND && failure.status != OTAGATE_DENIED &&
          failure.status != OTAGATE_PERMANENT)
        throw;
      host_.event(OTAGATE_LOG_WARN, "entries_skipped", common::redacted_url(url), failure.message);
      return std::nullopt;
    }
    memory_.remember(object.key, *known);
  }
  object.change_token = known->token;
  object.size = known->size;
  object.modified_ms = known->modified * 1000;
  object.ranges = known->ranges;
  return object;
}

Headed WebStore::head(const std::string& url, const Document::Item& item, sdk::Call& call) {
  HttpRequest request;
  request.method = "HEAD";
  request.max_redirects = kMaxRedirects;
  const HttpResponse response = send(std::move(request), url, call);
  const HttpHead& answer = response.head;
  Headed out;
  out.entry = item.entry;
  out.size = item.object.size;
  const bool no_head = answer.status == 405 || answer.status == 501;
  if (answer.status != 200 && !no_head) refuse(answer, "HEAD", url, false);
  if (!no_head) {
    // What the index declares is what is fetched: another size is a change that it has not heard of yet.
    if (out.size == OTAGATE_SIZE_UNKNOWN) out.size = common::content_length(answer);
    const Validator validator = validator_of(answer, out.size);
    out.token = token_of(validator);
    out.modified = validator.modified < INT64_MAX / 1000 ? validator.modified : 0;
    out.ranges = takes_ranges(answer);
    if (const auto parts = common::parse_url(url)) memory_.learn_ranges(parts->origin(), out.ranges);
  }
  if (out.token.empty()) out.token = entry_token(item.entry, out.size);
  return out;
}

// One object of an origin is asked about, and the origin's answers to ranges are heeded from then on.
bool WebStore::keeps_to_ranges(const std::string& url, sdk::Call& call) {
  const auto parts = common::parse_url(url);
  if (!parts) return false;
  const std::string origin = parts->origin();
  if (const auto known = memory_.ranges(origin)) return *known;
  try {
    return head(url, {}, call).ranges;
  } catch (const Failure& failure) {
    if (failure.status == OTAGATE_TRANSIENT || failure.status == OTAGATE_CANCELLED) throw;
    memory_.cannot_tell_ranges(origin);  // that object cannot be asked; the next one may
    return false;
  }
}

void WebStore::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  common::check_key(request.key);
  const std::string url = value_or_throw(place_.url_of(request.key));
  Validator known;
  if (!request.change_token.empty()) {
    const std::optional<Validator> said = parse_token(request.change_token);
    if (!said) throw Failure(OTAGATE_CHANGED, "the object has changed since it was listed");
    known = memory_.with_seen(request.key, request.change_token, *said);
  }
  try {
    Download download(request, std::move(known), sink);
    const HttpResponse response = send(download.request(), url, sink);
    if (sink.stopped()) return;
    if (const auto ranges = download.ranges()) {
      const auto parts = common::parse_url(url);
      if (parts && memory_.learn_ranges(parts->origin(), *ranges)) host_.changed();
    }
    if (download.seen() && !request.change_token.empty()) {
      memory_.saw(request.key, request.change_token, *download.seen());
    }
    const long status = response.head.status;
    if (status != 416 && status_of(response.head) != OTAGATE_OK) refuse(response.head, "GET", url, false);
    download.finish(response.head, url);
  } catch (const Failure& failure) {
    if (failure.status == OTAGATE_CHANGED) {
      memory_.forget(request.key);
      host_.changed(request.key);
    }
    throw;
  }
}

}  // namespace otagate::web
