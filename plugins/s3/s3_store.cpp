#include "s3/s3_store.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include "common/http_client/classify.hpp"
#include "common/http_client/url.hpp"
#include "s3/answer.hpp"
#include "s3/list_xml.hpp"

namespace otagate::s3 {
namespace {

using common::HttpHead;
using common::HttpRequest;
using common::HttpResponse;
using sdk::Failure;

// 1,000 objects with the longest keys, encoded, are 3.6 MB.
constexpr std::size_t kMaxPage = 8u << 20;
constexpr std::uint32_t kPageObjects = 1000;
constexpr std::uint64_t kLongestPresign = 7 * 24 * 3600;
constexpr std::chrono::seconds kCheckLasts{30};
constexpr std::size_t kMaxChecks = 1024;
constexpr std::string_view kMetaPrefix = "x-amz-meta-";

template <class T>
T value_or_throw(common::Outcome<T> outcome) {
  if (outcome) return std::move(*outcome);
  common::Failure& failure = outcome.error();
  throw Failure(failure.status, std::move(failure.message), failure.retry_after_ms);
}

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

std::unique_ptr<common::HttpClient> make_client(const sdk::StoreHost& host) {
  common::HttpClientOptions options;
  options.ca_file = host.option("ca_file").string("");
  options.proxy = host.option("proxy").string("");
  options.connect_timeout_ms = static_cast<std::uint64_t>(host.option("connect_timeout").integer(10'000));
  options.idle_timeout_ms = static_cast<std::uint64_t>(host.option("idle_timeout").integer(30'000));
  options.low_speed = static_cast<std::uint64_t>(host.option("low_speed").integer(100));
  options.user_agent = "otagate/0.1.0";
  return value_or_throw(common::HttpClient::create(std::move(options)));
}

std::string in_quotes(std::string_view etag) { return "\"" + std::string(etag) + "\""; }

std::string byte_range(std::uint64_t offset, std::uint64_t length) {
  std::string range = "bytes=" + std::to_string(offset) + "-";
  // A length that runs past the end of numbers is one to the end of the object.
  if (length > 0 && length - 1 <= UINT64_MAX - offset) range += std::to_string(offset + length - 1);
  return range;
}

// Metadata travels in headers: what a header cannot carry unchanged is refused here.
bool plain_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

void check_key(std::string_view key) {
  if (!key.empty() && key.size() <= 1024 && key.find('\0') == std::string_view::npos) return;
  throw Failure(OTAGATE_INVALID, "a key has 1 to 1,024 bytes and no NUL");
}

std::string name_for(const sdk::PublishRequest& request) {
  std::string name;
  std::string version;
  for (const auto& [key, value] : request.metadata) {
    if (key == "name") name = value;
    if (key == "version") version = value;
  }
  if (name.empty() || version.empty()) return "sha256/" + std::string(request.sha256);
  // The digest keeps apart what types or variants share a name and version.
  return name + "/" + name + "-" + version + "-" + std::string(request.sha256.substr(0, 12)) + ".bin";
}

// One ranged GET: what its head says, and where its bytes go. Throws nothing: runs below curl.
class Download {
 public:
  Download(const sdk::FetchRequest& request, std::optional<Token> expected, sdk::FetchSink& sink)
      : request_(request), expected_(std::move(expected)), sink_(sink) {}

  bool on_head(const HttpHead& head) {
    if (head.status != 200 && head.status != 206) return true;
    if (!read_span(head)) return false;
    const std::string token = make_token(etag_of(head), total_);
    if (expected_ && make_token(expected_->etag, expected_->size) != token) {
      return problem(OTAGATE_CHANGED, "the object has changed since it was listed");
    }
    return sink_.begin(total_, token);
  }

  bool on_body(std::span<const char> bytes) {
    const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
    if (!sink_.write(bytes.data(), take)) return false;
    left_ -= take;
    got_ += take;
    // A server that ignores ranges would go on to the end of the object.
    return left_ > 0 || take == bytes.size();
  }

  // After the answer: throws what was wrong with it.
  void finish(const std::string& url) const {
    const std::string where = "GET " + common::redacted_url(url) + ": ";
    if (problem_) throw Failure(problem_->status, where + problem_->message);
    if (expected_bytes_ && got_ != *expected_bytes_) {
      throw Failure(OTAGATE_TRANSIENT, where + "the answer ended after " + std::to_string(got_) + " of " +
                                           std::to_string(*expected_bytes_) + " bytes");
    }
  }

  // 416: the range starts at the end or beyond. That is no failure, unless the object has shrunk.
  void finish_beyond_end(const HttpHead& head, const std::string& url) const {
    const std::string* value = head.find("content-range");
    const std::optional<ContentRange> range = value ? parse_content_range(*value) : std::nullopt;
    const std::uint64_t total = range ? range->total : OTAGATE_SIZE_UNKNOWN;
    if (expected_ && expected_->size != OTAGATE_SIZE_UNKNOWN) {
      const bool other_size = total != OTAGATE_SIZE_UNKNOWN && total != expected_->size;
      if (other_size || request_.offset < expected_->size) {
        throw Failure(OTAGATE_CHANGED,
                      "GET " + common::redacted_url(url) + ": the object has changed since it was listed");
      }
    }
    sink_.begin(total, request_.change_token);
  }

 private:
  struct Problem {
    std::uint32_t status;
    std::string message;
  };

  bool problem(std::uint32_t status, std::string message) {
    problem_ = Problem{status, std::move(message)};
    return false;
  }

  bool read_span(const HttpHead& head) {
    if (head.status == 206) {
      const std::string* value = head.find("content-range");
      const std::optional<ContentRange> range = value ? parse_content_range(*value) : std::nullopt;
      if (!range || !range->satisfied || range->first != request_.offset) {
        return problem(OTAGATE_TRANSIENT, "the answer holds another range than was asked for");
      }
      total_ = range->total;
      expected_bytes_ = range->last - range->first + 1;
    } else {
      if (request_.offset > 0) return problem(OTAGATE_UNSUPPORTED, "the server ignores ranges");
      const std::string* length = head.find("content-length");
      total_ = (length ? parse_decimal(*length) : std::nullopt).value_or(OTAGATE_SIZE_UNKNOWN);
      if (total_ != OTAGATE_SIZE_UNKNOWN) expected_bytes_ = total_;
    }
    left_ = request_.length > 0 ? request_.length : UINT64_MAX;
    if (expected_bytes_) expected_bytes_ = std::min(*expected_bytes_, left_);
    return true;
  }

  const sdk::FetchRequest& request_;
  const std::optional<Token> expected_;
  sdk::FetchSink& sink_;
  std::optional<Problem> problem_;
  std::optional<std::uint64_t> expected_bytes_;
  std::uint64_t total_ = OTAGATE_SIZE_UNKNOWN;
  std::uint64_t left_ = 0;
  std::uint64_t got_ = 0;
};

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
      http_(make_client(host)) {
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

std::int64_t S3Store::now() const { return host_.now_ms() / 1000 + clock_offset_; }

HttpResponse S3Store::send(const Unsigned& what, HttpRequest request, sdk::Call& call) {
  const auto cancelled = [&call] { return call.stopped(); };
  const Credentials who = value_or_throw(credentials_->get(cancelled));
  Params headers = what.headers;
  headers.emplace_back("x-amz-content-sha256", what.payload_hash);
  std::optional<std::int64_t> signed_at;
  if (!who.anonymous()) {
    signed_at = now();
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
  if (failure.status == OTAGATE_CLOCK) learn_clock(response, signed_at);
  throw Failure(failure.status, std::move(failure.message), failure.retry_after_ms);
}

// The next attempt is signed with the server's time. Only a peer that has shown who he is may move our
// clock: a wrong one could make us sign requests that are good for later.
void S3Store::learn_clock(const HttpResponse& response, std::optional<std::int64_t> signed_at) {
  const std::optional<std::int64_t> theirs = server_time(response.head);
  if (!theirs || !signed_at) return;
  if (!response.peer_trusted) {
    host_.event(
        OTAGATE_LOG_WARN, "clock_skew", bucket_,
        "the server refuses this machine's clock, and over plain HTTP its own is not believed: set the "
        "clock, or use an https endpoint");
    return;
  }
  const std::int64_t offset = *theirs - host_.now_ms() / 1000;
  clock_offset_ = offset;
  host_.event(OTAGATE_LOG_WARN, "clock_skew", bucket_,
              "requests are signed with the server's time from now on, " + std::to_string(offset) +
                  " s from this machine's clock");
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
    object.change_token = make_token(listed.etag, listed.size);
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
  check_key(request.key);
  std::optional<Token> expected;
  if (!request.change_token.empty()) {
    expected = parse_token(request.change_token);
    if (!expected) throw Failure(OTAGATE_CHANGED, "the change token is none that this store gave");
  }
  Unsigned what;
  what.path = address_.object_path(request.key);
  if (request.offset > 0 || request.length > 0) {
    what.headers.emplace_back("range", byte_range(request.offset, request.length));
  }
  if (expected && !expected->etag.empty()) what.headers.emplace_back("if-match", in_quotes(expected->etag));

  Download download(request, expected, sink);
  HttpRequest http;
  http.on_head = [&](const HttpHead& head) { return download.on_head(head); };
  http.on_body = [&](std::span<const char> bytes) { return download.on_body(bytes); };
  const HttpResponse response = send(what, std::move(http), sink);
  if (sink.stopped()) return;
  const std::string url = address_.url(what.path, "");
  if (response.head.status == 416) {
    download.finish_beyond_end(response.head, url);
  } else {
    download.finish(url);
  }
}

sdk::Object S3Store::head(std::string_view key, std::string_view token, sdk::Call& call) {
  check_key(key);
  Unsigned what;
  what.path = address_.object_path(key);
  what.headers.emplace_back("x-amz-checksum-mode", "ENABLED");
  const std::optional<Token> expected = parse_token(token);
  if (expected && !expected->etag.empty()) what.headers.emplace_back("if-match", in_quotes(expected->etag));
  HttpRequest http;
  http.method = "HEAD";
  const HttpResponse response = send(what, std::move(http), call);
  const HttpHead& head = response.head;
  const std::string* length = head.find("content-length");
  sdk::Object object;
  object.key = key;
  object.size = (length ? parse_decimal(*length) : std::nullopt).value_or(OTAGATE_SIZE_UNKNOWN);
  object.change_token = make_token(etag_of(head), object.size);
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

bool S3Store::checked_lately(const std::string& what) {
  const std::scoped_lock lock(mutex_);
  const auto found = checked_.find(what);
  return found != checked_.end() && std::chrono::steady_clock::now() - found->second < kCheckLasts;
}

void S3Store::remember_check(const std::string& what) {
  const auto now = std::chrono::steady_clock::now();
  const std::scoped_lock lock(mutex_);
  if (checked_.size() >= kMaxChecks) {
    std::erase_if(checked_, [&](const auto& entry) { return now - entry.second >= kCheckLasts; });
  }
  if (checked_.size() < kMaxChecks) checked_[what] = now;
}

// A URL can be made without asking anybody, but then a device would be sent to a store that is away or
// to other bytes than it was offered. So the object is looked at first, at most twice a minute.
std::string S3Store::presign(const sdk::PresignRequest& request, sdk::Call& call) {
  const std::string subject = std::string(request.key) + '\0' + std::string(request.change_token);
  if (!checked_lately(subject)) {
    const sdk::Object there = head(request.key, request.change_token, call);
    if (!request.change_token.empty() && there.change_token != request.change_token) {
      throw Failure(OTAGATE_CHANGED, "the object has changed since it was listed");
    }
    remember_check(subject);
  }
  const Credentials who = value_or_throw(credentials_->get([&call] { return call.stopped(); }));
  const std::string path = address_.object_path(request.key);
  if (who.anonymous()) return address_.url(path, "");
  const std::uint64_t longest = std::min(kLongestPresign, credentials_->seconds_left());
  const std::uint64_t expires =
      std::clamp<std::uint64_t>(request.expiry_ms / 1000, 1, std::max<std::uint64_t>(longest, 1));
  const Signable what{request.head ? "HEAD" : "GET", path, {}, {{"host", address_.host()}}, {}};
  return address_.url(path, presigned_query(what, who, amz_date(now()), scope_, expires));
}

sdk::Object S3Store::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this store may not be written to; set 'publish' to true");
  if (request.sha256.size() != 64)
    throw Failure(OTAGATE_INVALID, "publishing needs the SHA-256 of the bytes");
  Unsigned what;
  const std::string key = request.key.empty() ? prefix_ + name_for(request) : std::string(request.key);
  check_key(key);
  what.path = address_.object_path(key);
  // The server compares the bytes with the hash that is signed.
  what.payload_hash = request.sha256;
  what.headers.emplace_back("content-type", "application/octet-stream");
  bool has_sha256 = false;
  for (const auto& [name, value] : request.metadata) {
    const auto token_char = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), token_char) || !plain_text(value)) {
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
  object.change_token = make_token(etag_of(response.head), request.size);
  object.metadata = request.metadata;
  return object;
}

}  // namespace otagate::s3
