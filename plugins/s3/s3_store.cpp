#include "s3/s3_store.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/download.hpp"
#include "common/object_store/store_calls.hpp"
#include "s3/answer.hpp"
#include "s3/list_xml.hpp"

namespace otagate::s3 {
namespace {

using common::HttpHead;
using common::HttpRequest;
using common::HttpResponse;
using common::value_or_throw;
using sdk::Failure;

// 1,000 objects with the longest keys, encoded, are 3.6 MB.
constexpr std::size_t kMaxPage = 8u << 20;
constexpr std::uint32_t kPageObjects = 1000;
constexpr std::uint64_t kLongestPresign = 7 * 24 * 3600;
constexpr std::string_view kMetaPrefix = "x-amz-meta-";

std::unique_ptr<CredentialSource> make_credentials(const sdk::StoreHost& host) {
  const std::string from = host.option("credentials").string("static");
  const std::string access_key = host.option("access_key").string("");
  const std::string secret_key = host.option("secret_key").string("");
  if (from == "environment") return value_or_throw(environment_credentials());
  if (from == "metadata")
    return value_or_throw(metadata_credentials(host.option("metadata_endpoint").string("")));
  if (from == "anonymous") return fixed_credentials({});
  if (access_key.empty() || secret_key.empty()) {
    throw Failure(OTAGATE_INVALID,
                  "set 'access_key' and 'secret_key', or 'credentials' to \"environment\", \"metadata\" or "
                  "\"anonymous\" (a public bucket)");
  }
  return fixed_credentials({access_key, secret_key, host.option("session_token").string("")});
}

}  // namespace

S3Store::S3Store(sdk::StoreHost& host)
    : host_(host),
      bucket_(host.option("bucket").string()),
      prefix_(host.option("prefix").string("")),
      delimiter_(host.option("delimiter").string("")),
      metadata_(host.option("metadata").boolean(true)),
      publish_(host.option("publish").boolean(false)),
      scope_{host.option("region").string("us-east-1")},
      address_(value_or_throw(Address::make(host.option("endpoint").string(""), bucket_, scope_.region,
                                            host.option("addressing").string("auto")))),
      credentials_(make_credentials(host)),
      http_(common::make_http_client(host)),
      clock_(host, bucket_) {
  if (!address_.tls() && !address_.loopback()) {
    host_.warn("the endpoint of bucket '" + bucket_ +
               "' is not https: whoever is on the way can read and change what is fetched");
  }
}

sdk::Caps S3Store::caps() {
  std::uint32_t flags = OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_PRESIGN;
  if (metadata_) flags |= OTAGATE_STORE_STAT;
  if (publish_) flags |= OTAGATE_STORE_PUBLISH;
  return {flags, 64 * 1024, 4};
}

HttpResponse S3Store::send(const Unsigned& what, HttpRequest request, sdk::Call& call) {
  const auto cancelled = [&call] { return call.stopped(); };
  const Credentials who = value_or_throw(credentials_->get(cancelled));
  Params headers = what.headers;
  headers.emplace_back("x-amz-content-sha256", what.payload_hash);
  std::optional<std::int64_t> signed_at;
  if (!who.anonymous()) {
    signed_at = clock_.now();
    const std::string date = amz_date(*signed_at);
    headers.emplace_back("x-amz-date", date);
    if (!who.session_token.empty()) headers.emplace_back("x-amz-security-token", who.session_token);
    Params signed_headers = headers;
    signed_headers.emplace_back("host", address_.host());
    headers.emplace_back("authorization", authorization({request.method, what.path, what.query,
                                                         std::move(signed_headers), what.payload_hash},
                                                        who, date, scope_));
  }
  for (auto& [name, value] : headers) request.headers.push_back({std::move(name), std::move(value)});
  request.url = address_.url(what.path, query_string(what.query));
  request.cancelled = cancelled;
  host_.count("requests");
  HttpResponse response = value_or_throw(http_->perform(request));
  const bool good = response.head.status >= 200 && response.head.status < 300;
  if (!good && response.head.status != 416) refuse(what, response, request, signed_at);
  return response;
}

void S3Store::refuse(const Unsigned& what, const HttpResponse& response, const HttpRequest& request,
                     std::optional<std::int64_t> signed_at) {
  if (says_expired(response)) credentials_->reject();
  common::Failure failure =
      failure_of(response, {request.method, request.url, bucket_, scope_.region,
                            what.path == address_.bucket_path(), credentials_->renewable(), signed_at});
  if (failure.status == OTAGATE_CLOCK && signed_at) clock_.learn(response);
  common::throw_failure(std::move(failure));
}

void S3Store::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  Unsigned what;
  what.path = address_.bucket_path();
  const std::uint32_t limit = std::clamp(request.limit, 1u, kPageObjects);
  what.query = {{"encoding-type", "url"}, {"list-type", "2"}, {"max-keys", std::to_string(limit)}};
  if (!prefix_.empty()) what.query.emplace_back("prefix", prefix_);
  if (!delimiter_.empty()) what.query.emplace_back("delimiter", delimiter_);
  if (request.cursor.starts_with("t:")) {
    what.query.emplace_back("continuation-token", request.cursor.substr(2));
  } else if (request.cursor.starts_with("k:")) {
    what.query.emplace_back("start-after", request.cursor.substr(2));
  } else if (!request.cursor.empty()) {
    throw Failure(OTAGATE_INVALID, "this is no cursor of a list of a bucket");
  }
  HttpRequest http;
  http.max_body = kMaxPage;
  HttpResponse response = send(what, std::move(http), sink);
  if (response.head.status != 200)
    throw Failure(OTAGATE_PERMANENT, "the answer to a list request is no page");

  const PageEnd end = value_or_throw(parse_list(response.body, [&](ListedObject listed) {
    sdk::Object object;
    object.change_token = common::make_token(listed.etag, listed.size);
    object.key = std::move(listed.key);
    object.size = listed.size;
    object.modified_ms = listed.modified_ms;
    object.has_stat = metadata_;
    return sink.object(object);
  }));
  if (end.unusable > 0) {
    host_.warn(std::to_string(end.unusable) + " keys of bucket '" + bucket_ +
               "' are left out: empty, longer than 1,024 bytes or with a NUL");
  }
  if (!end.truncated || sink.stopped()) return;
  // A page that leads nowhere or back to itself would be asked for again for ever.
  const bool by_token = !end.next_token.empty();
  std::string next = by_token ? "t:" + end.next_token : "k:" + end.last_key;
  if (next == request.cursor || (!by_token && end.last_key.empty())) {
    throw Failure(OTAGATE_PERMANENT, "the server says that bucket '" + bucket_ +
                                         "' holds more keys, and repeats the page that it gave");
  }
  sink.next(std::move(next));
}

void S3Store::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  common::check_key(request.key);
  common::Download download(request, sink);
  Unsigned what;
  what.path = address_.object_path(request.key);
  what.headers = download.headers();
  const HttpResponse response = send(what, download.request(), sink);
  if (!sink.stopped()) download.finish(response.head, address_.url(what.path, ""));
}

sdk::Object S3Store::head(std::string_view key, std::string_view token, sdk::Call& call) {
  common::check_key(key);
  Unsigned what;
  what.path = address_.object_path(key);
  what.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  const std::optional<common::Token> expected = common::parse_token(token);
  if (expected && !expected->etag.empty())
    what.headers.emplace_back("if-match", common::in_quotes(expected->etag));
  HttpRequest http;
  http.method = "HEAD";
  const HttpResponse response = send(what, std::move(http), call);
  const HttpHead& head = response.head;
  sdk::Object object;
  object.key = key;
  object.size = common::content_length(head);
  object.change_token = common::make_token(common::etag_of(head), object.size);
  object.sha256 = checksum_of(head);
  if (const std::string* modified = head.find("last-modified")) {
    object.modified_ms = common::parse_http_date(*modified).value_or(0) * 1000;
  }
  for (const auto& [name, value] : head.headers) {
    if (!name.starts_with(kMetaPrefix) || name.size() == kMetaPrefix.size()) continue;
    object.metadata.emplace_back(name.substr(kMetaPrefix.size()), value);
  }
  return object;
}

sdk::Object S3Store::stat(std::string_view key, sdk::Call& call) { return head(key, {}, call); }

// A URL can be made without asking anybody, but then a device would be sent to a store that is away or
// to other bytes than it was offered. So the object is looked at first, at most twice a minute.
std::string S3Store::presign(const sdk::PresignRequest& request, sdk::Call& call) {
  if (!checked_.has(request.key, request.change_token)) {
    const sdk::Object there = head(request.key, request.change_token, call);
    if (!request.change_token.empty() && there.change_token != request.change_token) {
      throw Failure(OTAGATE_CHANGED, "the object has changed since it was listed");
    }
    checked_.add(request.key, request.change_token);
  }
  const Credentials who = value_or_throw(credentials_->get([&call] { return call.stopped(); }));
  const std::string path = address_.object_path(request.key);
  if (who.anonymous()) return address_.url(path, "");
  const std::uint64_t longest = std::min(kLongestPresign, credentials_->seconds_left());
  const std::uint64_t expires =
      std::clamp<std::uint64_t>(request.expiry_ms / 1000, 1, std::max<std::uint64_t>(longest, 1));
  const Signable what{request.head ? "HEAD" : "GET", path, {}, {{"host", address_.host()}}, {}};
  return address_.url(path, presigned_query(what, who, amz_date(clock_.now()), scope_, expires));
}

sdk::Object S3Store::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this store may not be written to; set 'publish' to true");
  if (request.sha256.size() != 64)
    throw Failure(OTAGATE_INVALID, "publishing needs the SHA-256 of the bytes");
  Unsigned what;
  const std::string key =
      request.key.empty() ? prefix_ + common::name_for(request) : std::string(request.key);
  common::check_key(key);
  what.path = address_.object_path(key);
  // The server compares the bytes with the hash that is signed.
  what.payload_hash = request.sha256;
  what.headers.emplace_back("content-type", "application/octet-stream");
  bool has_sha256 = false;
  for (const auto& [name, value] : request.metadata) {
    const auto token_char = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), token_char) || !common::plain_text(value)) {
      throw Failure(OTAGATE_INVALID,
                    "metadata '" + common::printable(name, 60) +
                        "' cannot be kept by S3: names are a-z, 0-9, '-', '.' and '_', values ASCII");
    }
    has_sha256 = has_sha256 || name == "sha256";
    what.headers.emplace_back(std::string(kMetaPrefix) + name, value);
  }
  if (!has_sha256) what.headers.emplace_back(std::string(kMetaPrefix) + "sha256", request.sha256);
  HttpRequest http;
  http.method = "PUT";
  http.body = common::HttpBody{{}, request.fd, request.size};
  const HttpResponse response = send(what, std::move(http), call);
  sdk::Object object;
  object.key = key;
  object.size = request.size;
  object.sha256 = request.sha256;
  object.change_token = common::make_token(common::etag_of(response.head), request.size);
  object.metadata = request.metadata;
  return object;
}

}  // namespace otagate::s3
