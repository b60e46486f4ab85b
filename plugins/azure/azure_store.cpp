#include "azure/azure_store.hpp"

#include <algorithm>
#include <utility>

#include "azure/answer.hpp"
#include "azure/list_xml.hpp"
#include "azure/upload.hpp"
#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "common/object_store/download.hpp"
#include "common/object_store/store_calls.hpp"

namespace otagate::azure {
namespace {

using common::HttpHead;
using common::HttpRequest;
using common::HttpResponse;
using common::value_or_throw;
using sdk::Failure;

// 1,000 blobs with the longest names, encoded, and 8 KiB of metadata each are 13 MB.
constexpr std::size_t kMaxPage = 16u << 20;
constexpr std::uint32_t kPageObjects = 1000;
constexpr std::size_t kMaxDelegationKey = 64 * 1024;
// A key that signs URLs is used for an hour, so that one that was revoked is not for long; the URLs of it
// end before it does.
constexpr std::chrono::hours kDelegationUsed{1};
constexpr std::int64_t kDelegationLasts = 6 * 24 * 3600;
constexpr std::uint64_t kLongestPresign = 5 * 24 * 3600;
// Of the start of a key, where the server's clock is behind.
constexpr std::int64_t kSlack = 5 * 60;

AccessOptions access_options(const sdk::StoreHost& host) {
  const auto text = [&](const char* name) { return host.option(name).string(""); };
  return {text("connection_string"), text("endpoint"),
          text("account"),           text("account_key"),
          text("sas_token"),         text("tenant"),
          text("client_id"),         text("client_secret"),
          text("token_endpoint"),    host.option("anonymous").boolean(false)};
}

void check_name(std::string_view name) {
  if (usable_name(name)) return;
  throw Failure(OTAGATE_INVALID,
                "a blob's name has 1 to 1,024 bytes of UTF-8, no NUL and no segments '.' and '..'");
}

}  // namespace

AzureStore::AzureStore(sdk::StoreHost& host)
    : host_(host),
      prefix_(host.option("prefix").string("")),
      delimiter_(host.option("delimiter").string("")),
      tags_(host.option("tags").boolean(false)),
      publish_(host.option("publish").boolean(false)),
      access_(value_or_throw(choose_access(access_options(host)))),
      address_(value_or_throw(Address::make(access_.endpoint, host.option("container").string("")))),
      http_(common::make_http_client(host)),
      tokens_({access_.token_endpoint, host.option("client_id").string(""),
               host.option("client_secret").string(""),
               host.option("scope").string("https://storage.azure.com/.default")},
              *http_),
      clock_(host, address_.container()) {
  if (!address_.tls() && !address_.loopback()) {
    host_.warn("the endpoint of container '" + address_.container() +
               "' is not https: whoever is on the way can read and change what is fetched");
  }
}

sdk::Caps AzureStore::caps() {
  std::uint32_t flags = OTAGATE_STORE_RANGES | OTAGATE_STORE_VALIDATOR;
  // A SAS cannot make another: giving out our own would open everything that it opens.
  if (access_.kind != Access::Kind::sas) flags |= OTAGATE_STORE_PRESIGN;
  if (publish_) flags |= OTAGATE_STORE_PUBLISH;
  return {flags, 64 * 1024, 4};
}

std::string AzureStore::authorise(Params& headers, const Outgoing& what, const HttpRequest& request,
                                  Proof& proof, sdk::Call& call) {
  std::string query = common::query_string(what.query);
  headers.emplace_back("x-ms-version", kVersion);
  switch (access_.kind) {
    case Access::Kind::anonymous: break;
    case Access::Kind::sas: query += (query.empty() ? "" : "&") + access_.sas; break;
    case Access::Kind::entra:
      proof.token = value_or_throw(tokens_.get([&call] { return call.stopped(); }));
      headers.emplace_back("authorization", "Bearer " + proof.token);
      break;
    case Access::Kind::shared_key:
      proof.signed_at = clock_.now();
      headers.emplace_back("x-ms-date", rfc1123_date(*proof.signed_at));
      const Signable signable{request.method, what.path, what.query, headers,
                              request.body ? request.body->size : 0};
      headers.emplace_back("authorization", authorization(signable, access_.account, access_.key));
      break;
  }
  return query;
}

HttpResponse AzureStore::send(const Outgoing& what, HttpRequest request, sdk::Call& call) {
  Proof proof;
  Params headers = what.headers;
  const std::string query = authorise(headers, what, request, proof, call);
  for (auto& [name, value] : headers) request.headers.push_back({std::move(name), std::move(value)});
  request.url = address_.url(what.path, query);
  request.cancelled = [&call] { return call.stopped(); };
  host_.count("requests");
  HttpResponse response = value_or_throw(http_->perform(request));
  const bool good = response.head.status >= 200 && response.head.status < 300;
  if (!good && response.head.status != 416) refuse(what, response, request, proof);
  if (!proof.token.empty()) tokens_.accepted(proof.token);
  return response;
}

void AzureStore::refuse(const Outgoing& what, const HttpResponse& response, const HttpRequest& request,
                        const Proof& proof) {
  common::Failure failure =
      failure_of(response, {request.method, request.url, access_.kind, what.of_container,
                            what.of_container && tags_, what.of_service, access_.sas, proof.signed_at});
  if (!proof.token.empty() && says_unauthenticated(response) && tokens_.rejected(proof.token)) {
    failure.status = OTAGATE_TRANSIENT;
    failure.message += "; fetching a new access token";
  }
  if (failure.status == OTAGATE_CLOCK) clock_.learn(response);
  common::throw_failure(std::move(failure));
}

void AzureStore::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  Outgoing what;
  what.path = address_.container_path();
  what.of_container = true;
  const std::uint32_t limit = std::clamp(request.limit, 1u, kPageObjects);
  what.query = {{"restype", "container"},
                {"comp", "list"},
                {"include", tags_ ? "metadata,tags" : "metadata"},
                {"maxresults", std::to_string(limit)}};
  if (!prefix_.empty()) what.query.emplace_back("prefix", prefix_);
  if (!delimiter_.empty()) what.query.emplace_back("delimiter", delimiter_);
  if (!request.cursor.empty()) what.query.emplace_back("marker", request.cursor);
  HttpRequest http;
  http.max_body = kMaxPage;
  HttpResponse response = send(what, std::move(http), sink);
  if (response.head.status != 200)
    throw Failure(OTAGATE_PERMANENT, "the answer to a list request is no page");

  PageEnd end = value_or_throw(parse_list(response.body, [&](ListedBlob listed) {
    sdk::Object object;
    object.change_token = common::make_token(listed.etag, listed.size);
    object.key = std::move(listed.name);
    object.size = listed.size;
    object.modified_ms = listed.modified_ms;
    object.metadata = std::move(listed.metadata);
    return sink.object(object);
  }));
  if (end.unusable > 0) {
    host_.warn(
        std::to_string(end.unusable) + " blobs of container '" + address_.container() +
        "' are left out: their names are longer than 1,024 bytes, no UTF-8, or have segments '.' or '..'");
  }
  if (end.next_marker.empty() || sink.stopped()) return;
  // A page that leads back to itself would be asked for again for ever.
  if (end.next_marker == request.cursor) {
    throw Failure(OTAGATE_PERMANENT, "the server says that container '" + address_.container() +
                                         "' holds more blobs, and repeats the page that it gave");
  }
  sink.next(std::move(end.next_marker));
}

void AzureStore::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  check_name(request.key);
  common::Download download(request, sink);
  Outgoing what;
  what.path = address_.blob_path(request.key);
  what.headers = download.headers();
  const HttpResponse response = send(what, download.request(), sink);
  if (!sink.stopped()) download.finish(response.head, address_.url(what.path, ""));
}

// Throws where the object is not there, or not in the state of `token`.
void AzureStore::check_object(std::string_view key, std::string_view token, sdk::Call& call) {
  Outgoing what;
  what.path = address_.blob_path(key);
  const std::optional<common::Token> expected = common::parse_token(token);
  if (expected && !expected->etag.empty())
    what.headers.emplace_back("if-match", common::in_quotes(expected->etag));
  HttpRequest http;
  http.method = "HEAD";
  const HttpResponse response = send(what, std::move(http), call);
  const HttpHead& head = response.head;
  if (!token.empty() && common::make_token(common::etag_of(head), common::content_length(head)) != token)
    throw Failure(OTAGATE_CHANGED, "the object has changed since it was listed");
  // Nothing that a token authorised tells us that our clock is wrong, but the end of a URL would.
  if (access_.kind == Access::Kind::entra && response.peer_trusted && common::far_off(head, clock_.now()))
    clock_.learn(response);
}

DelegationKey AzureStore::delegation_key(sdk::Call& call) {
  const std::scoped_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (delegation_ && now < delegation_until_) return *delegation_;
  Outgoing what;
  what.path = address_.service_path();
  what.of_service = true;
  what.query = {{"restype", "service"}, {"comp", "userdelegationkey"}};
  what.headers = {{"content-type", "application/xml"}};
  const std::string body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>" +
                           iso8601(clock_.now() - kSlack) + "</Start><Expiry>" +
                           iso8601(clock_.now() + kDelegationLasts) + "</Expiry></KeyInfo>";
  HttpRequest http;
  http.method = "POST";
  http.body = common::HttpBody{body, -1, body.size()};
  http.max_body = kMaxDelegationKey;
  const HttpResponse response = send(what, std::move(http), call);
  std::optional<DelegationKey> key = parse_delegation_key(response.body);
  if (!key) throw Failure(OTAGATE_PERMANENT, "the answer to a request for a user delegation key holds none");
  delegation_ = std::move(key);
  delegation_until_ = now + kDelegationUsed;
  return *delegation_;
}

// A URL can be made without asking anybody, but then a device would be sent to a store that is away or
// to other bytes than it was offered. So the object is looked at first, at most twice a minute.
std::string AzureStore::presign(const sdk::PresignRequest& request, sdk::Call& call) {
  check_name(request.key);
  if (access_.kind == Access::Kind::sas)
    throw Failure(OTAGATE_UNSUPPORTED,
                  "a SAS token cannot make URLs of single objects; use an account key or Entra ID");
  if (!checked_.has(request.key, request.change_token)) {
    check_object(request.key, request.change_token, call);
    checked_.add(request.key, request.change_token);
  }
  const std::string path = address_.blob_path(request.key);
  if (access_.kind == Access::Kind::anonymous) return address_.url(path, "");
  const std::uint64_t seconds = std::clamp<std::uint64_t>(request.expiry_ms / 1000, 1, kLongestPresign);
  const BlobSas sas{access_.account, address_.container(), request.key,
                    clock_.now() + static_cast<std::int64_t>(seconds), address_.tls()};
  return address_.url(path, access_.kind == Access::Kind::entra ? delegation_sas(sas, delegation_key(call))
                                                                : service_sas(sas, access_.key));
}

sdk::Object AzureStore::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this store may not be written to; set 'publish' to true");
  const std::string key =
      request.key.empty() ? prefix_ + common::name_for(request) : std::string(request.key);
  check_name(key);
  Outgoing what;
  what.path = address_.blob_path(key);
  what.headers = upload_headers(request, [&call] { return call.stopped(); });
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

}  // namespace otagate::azure
