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
constexpr std::string_view kVersionMark = "?versionId=";
constexpr std::string_view kRequestPayer = "x-amz-request-payer";

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

std::vector<S3Store::Bucket> S3Store::make_buckets(const sdk::StoreHost& host) {
  const std::string one = host.option("bucket").string("");
  std::vector<std::string> names;
  if (host.option("buckets").exists()) names = host.option("buckets").strings();
  if (one.empty() == names.empty())
    throw Failure(OTAGATE_INVALID,
                  "set 'bucket' to the name of one bucket, or 'buckets' to those of several");
  if (!one.empty()) names = {one};
  std::vector<Bucket> buckets;
  for (const std::string& name : names) {
    buckets.push_back({name, value_or_throw(Address::make(host.option("endpoint").string(""), name,
                                                          host.option("region").string("us-east-1"),
                                                          host.option("addressing").string("auto")))});
  }
  return buckets;
}

S3Store::Place S3Store::place_of(std::string_view key) const {
  common::check_key(key);
  Place place;
  place.bucket = &buckets_.front();
  if (buckets_.size() > 1) {
    const std::string_view name = key.substr(0, key.find('/'));
    const auto found = std::find_if(buckets_.begin(), buckets_.end(),
                                    [&](const Bucket& bucket) { return bucket.name == name; });
    if (found == buckets_.end() || name.size() + 1 >= key.size())
      throw Failure(OTAGATE_NOT_FOUND, "no bucket of this store is called '" + std::string(name) + "'");
    place.bucket = &*found;
    key.remove_prefix(name.size() + 1);
  }
  if (const std::size_t at = key.rfind(kVersionMark); all_versions_ && at != std::string_view::npos) {
    place.version = key.substr(at + kVersionMark.size());
    key = key.substr(0, at);
  }
  place.key = key;
  return place;
}

std::string S3Store::key_of(const Bucket& bucket, std::string_view key, std::string_view version) const {
  std::string text = buckets_.size() > 1 ? bucket.name + "/" : std::string();
  text += key;
  if (!version.empty()) text.append(kVersionMark).append(version);
  return text;
}

S3Store::Unsigned S3Store::object_request(const Place& place) const {
  Unsigned what;
  what.bucket = place.bucket;
  what.path = place.bucket->address.object_path(place.key);
  if (!place.version.empty()) what.query.emplace_back("versionId", place.version);
  what.headers = encryption_.of_object();
  return what;
}

S3Store::S3Store(sdk::StoreHost& host)
    : host_(host),
      prefix_(host.option("prefix").string("")),
      delimiter_(host.option("delimiter").string("")),
      metadata_(host.option("metadata").boolean(true)),
      publish_(host.option("publish").boolean(false)),
      all_versions_(host.option("versions").string("latest") == "all"),
      requester_pays_(host.option("requester_pays").boolean(false)),
      encryption_(value_or_throw(Encryption::make(host.option("encryption_key").string(""),
                                                  host.option("encryption").string(""),
                                                  host.option("kms_key").string("")))),
      scope_{host.option("region").string("us-east-1")},
      buckets_(make_buckets(host)),
      credentials_(make_credentials(host)),
      http_(common::make_http_client(host)),
      clock_(host, buckets_.front().name) {
  const Address& address = buckets_.front().address;
  if (!address.tls() && !address.loopback()) {
    if (encryption_.has_customer_key())
      throw Failure(OTAGATE_INVALID,
                    "option 'encryption_key' goes with every request: use an https endpoint");
    host_.warn("the endpoint of bucket '" + buckets_.front().name +
               "' is not https: whoever is on the way can read and change what is fetched");
  }
}

sdk::Caps S3Store::caps() {
  std::uint32_t flags = OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR;
  // Whoever follows a URL would have to know the key.
  if (!encryption_.has_customer_key()) flags |= OTAGATE_STORE_PRESIGN;
  if (metadata_) flags |= OTAGATE_STORE_STAT;
  if (publish_) flags |= OTAGATE_STORE_PUBLISH;
  return {flags, 64 * 1024, 4};
}

HttpResponse S3Store::send(const Unsigned& what, HttpRequest request, sdk::Call& call) {
  const auto cancelled = [&call] { return call.stopped(); };
  const Credentials who = value_or_throw(credentials_->get(cancelled));
  Params headers = what.headers;
  headers.emplace_back("x-amz-content-sha256", what.payload_hash);
  if (requester_pays_) headers.emplace_back(kRequestPayer, "requester");
  std::optional<std::int64_t> signed_at;
  if (!who.anonymous()) {
    signed_at = clock_.now();
    const std::string date = amz_date(*signed_at);
    headers.emplace_back("x-amz-date", date);
    if (!who.session_token.empty()) headers.emplace_back("x-amz-security-token", who.session_token);
    Params signed_headers = headers;
    signed_headers.emplace_back("host", what.bucket->address.host());
    headers.emplace_back("authorization", authorization({request.method, what.path, what.query,
                                                         std::move(signed_headers), what.payload_hash},
                                                        who, date, scope_));
  }
  for (auto& [name, value] : headers) request.headers.push_back({std::move(name), std::move(value)});
  request.url = what.bucket->address.url(what.path, query_string(what.query));
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
  common::Failure failure = failure_of(
      response, {request.method, request.url, what.bucket->name, scope_.region,
                 what.path == what.bucket->address.bucket_path(), credentials_->renewable(), signed_at});
  if (failure.status == OTAGATE_CLOCK && signed_at) clock_.learn(response);
  common::throw_failure(std::move(failure));
}

Params S3Store::page_query(const sdk::ListRequest& request, std::string_view cursor) const {
  const std::uint32_t limit = std::clamp(request.limit, 1u, kPageObjects);
  Params query = {{"encoding-type", "url"}, {"max-keys", std::to_string(limit)}};
  query.emplace_back(all_versions_ ? "versions" : "list-type", all_versions_ ? "" : "2");
  if (!prefix_.empty()) query.emplace_back("prefix", prefix_);
  if (!delimiter_.empty()) query.emplace_back("delimiter", delimiter_);
  const std::string rest(cursor.substr(std::min<std::size_t>(cursor.size(), 2)));
  if (cursor.starts_with("t:") && !all_versions_) {
    query.emplace_back("continuation-token", rest);
  } else if (cursor.starts_with("k:") && !all_versions_) {
    query.emplace_back("start-after", rest);
  } else if (const std::size_t end = rest.find('&');
             cursor.starts_with("v:") && all_versions_ && end != rest.npos) {
    query.emplace_back("key-marker", common::percent_decode(rest.substr(0, end)));
    if (end + 1 < rest.size())
      query.emplace_back("version-id-marker", common::percent_decode(rest.substr(end + 1)));
  } else if (!cursor.empty()) {
    throw Failure(OTAGATE_INVALID, "this is no cursor of a list of a bucket");
  }
  return query;
}

std::string S3Store::next_in_bucket(const Bucket& bucket, const PageEnd& end, std::string_view cursor) const {
  if (!end.truncated) return {};
  std::string next;
  if (all_versions_ && !end.next_key.empty())
    next = "v:" + common::percent_encode(end.next_key) + "&" + common::percent_encode(end.next_version);
  else if (!all_versions_ && !end.next_token.empty())
    next = "t:" + end.next_token;
  else if (!all_versions_ && !end.last_key.empty())
    next = "k:" + end.last_key;
  // A page that leads nowhere or back to itself would be asked for again for ever.
  if (next.empty() || next == cursor) {
    throw Failure(OTAGATE_PERMANENT, "the server says that bucket '" + bucket.name +
                                         "' holds more keys, and repeats the page that it gave");
  }
  return next;
}

void S3Store::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  // With several buckets "<index>!" stands before the cursor of that bucket.
  std::string_view cursor = request.cursor;
  std::size_t index = 0;
  if (const std::size_t end = cursor.find('!'); buckets_.size() > 1 && !cursor.empty()) {
    const auto number = end == cursor.npos ? std::nullopt : common::parse_decimal(cursor.substr(0, end));
    if (!number || *number >= buckets_.size())
      throw Failure(OTAGATE_INVALID, "this is no cursor of a list of these buckets");
    index = static_cast<std::size_t>(*number);
    cursor.remove_prefix(end + 1);
  }
  const Bucket& bucket = buckets_[index];
  Unsigned what;
  what.bucket = &bucket;
  what.path = bucket.address.bucket_path();
  what.query = page_query(request, cursor);
  HttpRequest http;
  http.max_body = kMaxPage;
  HttpResponse response = send(what, std::move(http), sink);
  if (response.head.status != 200)
    throw Failure(OTAGATE_PERMANENT, "the answer to a list request is no page");

  std::size_t too_long = 0;
  const PageEnd end = value_or_throw(parse_list(response.body, all_versions_, [&](ListedObject listed) {
    sdk::Object object;
    object.change_token = common::make_token(listed.etag, listed.size);
    object.key = key_of(bucket, listed.key, listed.version);
    object.size = listed.size;
    object.modified_ms = listed.modified_ms;
    object.has_stat = metadata_;
    if (!common::usable_key(object.key)) {
      ++too_long;
      return !sink.stopped();
    }
    return sink.object(object);
  }));
  if (end.unusable + too_long > 0) {
    host_.warn(std::to_string(end.unusable + too_long) + " keys of bucket '" + bucket.name +
               "' are left out: empty, longer than 1,024 bytes or with a NUL");
  }
  if (sink.stopped()) return;
  std::string next = next_in_bucket(bucket, end, cursor);
  if (buckets_.size() > 1 && (!next.empty() || index + 1 < buckets_.size()))
    next = std::to_string(next.empty() ? index + 1 : index) + "!" + next;
  if (!next.empty()) sink.next(std::move(next));
}

void S3Store::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  Unsigned what = object_request(place_of(request.key));
  common::Download download(request, sink);
  for (auto& header : download.headers()) what.headers.push_back(std::move(header));
  const HttpResponse response = send(what, download.request(), sink);
  if (!sink.stopped()) download.finish(response.head, what.bucket->address.url(what.path, ""));
}

sdk::Object S3Store::head(std::string_view key, std::string_view token, sdk::Call& call) {
  Unsigned what = object_request(place_of(key));
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
  const Unsigned object = object_request(place_of(request.key));
  const Address& address = object.bucket->address;
  Params query = object.query;
  if (requester_pays_) query.emplace_back(kRequestPayer, "requester");
  if (who.anonymous()) return address.url(object.path, query_string(query));
  const std::uint64_t longest = std::min(kLongestPresign, credentials_->seconds_left());
  const std::uint64_t expires =
      std::clamp<std::uint64_t>(request.expiry_ms / 1000, 1, std::max<std::uint64_t>(longest, 1));
  const Signable what{request.head ? "HEAD" : "GET", object.path, query, {{"host", address.host()}}, {}};
  return address.url(object.path, presigned_query(what, who, amz_date(clock_.now()), scope_, expires));
}

sdk::Object S3Store::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this store may not be written to; set 'publish' to true");
  if (request.sha256.size() != 64)
    throw Failure(OTAGATE_INVALID, "publishing needs the SHA-256 of the bytes");
  const std::string key = request.key.empty()
                              ? key_of(buckets_.front(), prefix_ + common::name_for(request), {})
                              : std::string(request.key);
  const Place place = place_of(key);
  if (!place.version.empty())
    throw Failure(OTAGATE_INVALID,
                  "a version of an object cannot be written; leave '?versionId=' out of the key");
  Unsigned what = object_request(place);
  for (const auto& header : encryption_.of_new_object()) what.headers.push_back(header);
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
