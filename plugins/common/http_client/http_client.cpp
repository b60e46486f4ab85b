#include "common/http_client/http_client.hpp"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>

#include "common/http_client/classify.hpp"
#include "common/http_client/curl_failure.hpp"
#include "common/http_client/trust_store.hpp"
#include "common/http_client/url.hpp"

namespace otagate::common {
namespace {

using Clock = std::chrono::steady_clock;

// How long cancelled() may go unasked.
constexpr int kPollMs = 100;
// An error's body is read this far so that its connection can be used again; past it, the connection
// is cheaper to lose.
constexpr std::uint64_t kMaxDrained = 256 * 1024;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistDeleter>;

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool clean_header(const HttpHeader& header) {
  const auto bad_name = [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == ':'; };
  const auto bad_value = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  return !header.name.empty() && std::none_of(header.name.begin(), header.name.end(), bad_name) &&
         std::none_of(header.value.begin(), header.value.end(), bad_value);
}

// One hop of a request: lives on the stack of perform() while curl calls back into it.
struct Transfer {
  Transfer(const HttpRequest& the_request, const HttpClientOptions& the_options, bool redirect)
      : request(the_request), options(the_options), may_redirect(redirect) {}

  const HttpRequest& request;
  const HttpClientOptions& options;
  const bool may_redirect;

  HttpResponse response;
  std::size_t header_bytes = 0;
  std::uint64_t drained = 0;
  std::uint64_t body_sent = 0;
  std::optional<Failure> failure;  // a bound was broken, or a local file could not be read
  bool enough = false;             // the rest of an error's body is not worth reading
  std::shared_ptr<X509_STORE> trust;
  std::uint64_t activity = 0;  // bytes in either direction since `window` began
  Clock::time_point window = Clock::now();

  bool success() const { return response.head.status >= 200 && response.head.status < 300; }

  bool broke(std::uint32_t status, std::string message) {
    if (!failure) failure = Failure{status, std::move(message), 0};
    return false;
  }
  // Time that the caller took for himself is none of the peer's.
  template <class F>
  bool unhurried(F&& call) {
    const Clock::time_point before = Clock::now();
    const bool result = call();
    window += Clock::now() - before;
    return result;
  }

  bool on_header_line(std::string_view line);
  bool on_head_end();
  bool on_bytes(std::string_view bytes);
  std::size_t read_body(char* to, std::size_t size);
};

bool Transfer::on_header_line(std::string_view line) {
  activity += line.size();
  header_bytes += line.size();
  if (header_bytes > kMaxHeaderBytes || response.head.headers.size() > kMaxHeaders) {
    return broke(OTAGATE_PERMANENT, redacted_url(request.url) + ": the answer has more than " +
                                        std::to_string(kMaxHeaders) + " headers or 64 KiB of them");
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    response.head = {};
    const std::size_t space = line.find(' ');
    for (std::size_t i = space + 1; space != std::string_view::npos && i < line.size() && i < space + 4;
         ++i) {
      if (line[i] < '0' || line[i] > '9') break;
      response.head.status = response.head.status * 10 + (line[i] - '0');
    }
    return true;
  }
  if (line.empty()) return response.head.status < 200 || on_head_end();
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  std::string name(line.substr(0, colon));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  response.head.headers.emplace_back(std::move(name), std::string(value));
  return true;
}

bool Transfer::on_head_end() {
  if (may_redirect && is_redirect(response.head.status)) return true;
  if (!request.on_head) return true;
  if (unhurried([&] { return request.on_head(response.head); })) return true;
  response.stopped = true;
  return false;
}

bool Transfer::on_bytes(std::string_view bytes) {
  activity += bytes.size();
  if (!success()) {
    const std::size_t room = kMaxErrorBody - std::min(kMaxErrorBody, response.body.size());
    response.body.append(bytes.substr(0, room));
    drained += bytes.size();
    enough = drained > kMaxDrained;
    return !enough;
  }
  response.body_bytes += bytes.size();
  if (request.on_body) {
    if (unhurried([&] { return request.on_body({bytes.data(), bytes.size()}); })) return true;
    response.stopped = true;
    return false;
  }
  if (response.body.size() + bytes.size() > request.max_body) {
    return broke(OTAGATE_PERMANENT, redacted_url(request.url) + ": the answer is larger than " +
                                        std::to_string(request.max_body) + " bytes");
  }
  response.body.append(bytes);
  return true;
}

std::size_t Transfer::read_body(char* to, std::size_t size) {
  const HttpBody& body = *request.body;
  size = static_cast<std::size_t>(std::min<std::uint64_t>(size, body.size - body_sent));
  if (body.fd < 0) {
    std::memcpy(to, body.data.data() + body_sent, size);
  } else {
    ssize_t got = 0;
    do {
      got = pread(body.fd, to, size, static_cast<off_t>(body_sent));
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && size > 0)) {
      broke(OTAGATE_INTERNAL,
            "reading the bytes to send: " +
                (got == 0 ? std::string("the file ended early") : std::generic_category().message(errno)));
      return CURL_READFUNC_ABORT;
    }
    size = static_cast<std::size_t>(got);
  }
  body_sent += size;
  activity += size;
  return size;
}

// Exceptions of the callbacks must not cross curl's C frames.
template <class F>
std::size_t guarded(Transfer& transfer, std::size_t on_error, F&& call) noexcept {
  try {
    return call();
  } catch (const std::exception& error) {
    transfer.broke(OTAGATE_INTERNAL, error.what());
    return on_error;
  }
}

std::size_t header_callback(char* data, std::size_t unit, std::size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t size = unit * count;
  return guarded(transfer, 0, [&] { return transfer.on_header_line({data, size}) ? size : 0; });
}

std::size_t write_callback(char* data, std::size_t unit, std::size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::size_t size = unit * count;
  return guarded(transfer, 0, [&] { return transfer.on_bytes({data, size}) ? size : 0; });
}

std::size_t read_callback(char* to, std::size_t unit, std::size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  return guarded(transfer, CURL_READFUNC_ABORT, [&] { return transfer.read_body(to, unit * count); });
}

// curl goes back to the start when a kept connection turned out to be dead.
int seek_callback(void* self, curl_off_t offset, int origin) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  if (origin != SEEK_SET || offset < 0 || static_cast<std::uint64_t>(offset) > transfer.request.body->size) {
    return CURL_SEEKFUNC_CANTSEEK;
  }
  transfer.body_sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

CURLcode ssl_callback(CURL*, void* context, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  return static_cast<CURLcode>(guarded(transfer, CURLE_SSL_CACERT_BADFILE, [&]() -> std::size_t {
    Outcome<std::shared_ptr<X509_STORE>> store = trust_store(transfer.options.ca_file);
    if (!store) {
      transfer.failure = std::move(store.error());
      return CURLE_SSL_CACERT_BADFILE;
    }
    transfer.trust = std::move(*store);
    SSL_CTX_set1_cert_store(static_cast<SSL_CTX*>(context), transfer.trust.get());
    return CURLE_OK;
  }));
}

bool loopback_address(std::string_view ip) { return ip.starts_with("127.") || ip == "::1"; }

}  // namespace

// A connection (and its handle) that one perform() at a time uses.
class HttpClient::Slot {
 public:
  Slot() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (multi_) curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L);
  }
  ~Slot() {
    if (easy_) curl_easy_cleanup(easy_);
    if (multi_) curl_multi_cleanup(multi_);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  bool usable() const { return multi_ && easy_; }
  // One hop; redirects are answers. `url` may differ from the request's after one.
  Outcome<HttpResponse> run(const HttpRequest& request, const std::string& url, bool same_origin,
                            const HttpClientOptions& options, bool may_redirect);

  std::string origin;  // of the last run: where the kept connection leads

 private:
  bool configure(Transfer& transfer, const std::string& url, const Slist& headers);
  Outcome<CURLcode> drive(Transfer& transfer, const std::string& url, Clock::time_point deadline);

  CURLM* const multi_;
  CURL* const easy_;
  char error_[CURL_ERROR_SIZE] = {};
};

bool HttpClient::Slot::configure(Transfer& transfer, const std::string& url, const Slist& headers) {
  const HttpRequest& request = transfer.request;
  const HttpClientOptions& options = transfer.options;
  curl_easy_reset(easy_);
  error_[0] = '\0';
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy_, option, value) == CURLE_OK;
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_USERAGENT, options.user_agent.c_str());
  set(CURLOPT_HTTPHEADER, headers.get());
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 30L);
  set(CURLOPT_BUFFERSIZE, 65536L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout_ms));
  // "" switches off the proxies that the environment names: only the configuration counts.
  set(CURLOPT_PROXY, options.proxy.c_str());
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));

  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
  set(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // curl would load the whole bundle once per handle; ssl_callback brings the shared store instead.
  set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));
  set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  set(CURLOPT_PROXY_CAINFO, static_cast<const char*>(nullptr));
  set(CURLOPT_PROXY_CAPATH, static_cast<const char*>(nullptr));
  set(CURLOPT_SSL_CTX_FUNCTION, ssl_callback);
  set(CURLOPT_SSL_CTX_DATA, &transfer);

  set(CURLOPT_HEADERFUNCTION, header_callback);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, write_callback);
  set(CURLOPT_WRITEDATA, &transfer);
  if (request.body) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size));
    set(CURLOPT_READFUNCTION, read_callback);
    set(CURLOPT_READDATA, &transfer);
    set(CURLOPT_SEEKFUNCTION, seek_callback);
    set(CURLOPT_SEEKDATA, &transfer);
  }
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  return ok;
}

Outcome<CURLcode> HttpClient::Slot::drive(Transfer& transfer, const std::string& url,
                                          Clock::time_point deadline) {
  const HttpRequest& request = transfer.request;
  const auto low_speed_window = std::chrono::milliseconds(transfer.options.idle_timeout_ms);
  const std::uint64_t low_speed_bytes =
      std::max<std::uint64_t>(1, transfer.options.low_speed * transfer.options.idle_timeout_ms / 1000);
  transfer.window = Clock::now();
  for (;;) {
    int running = 0;
    if (curl_multi_perform(multi_, &running) != CURLM_OK) return fail(OTAGATE_INTERNAL, "libcurl gave up");
    if (running == 0) break;
    if (request.cancelled && request.cancelled()) {
      return fail(OTAGATE_CANCELLED, redacted_url(url) + ": cancelled");
    }
    const Clock::time_point now = Clock::now();
    if (now >= deadline) {
      return fail(OTAGATE_TRANSIENT, redacted_url(url) + ": no complete answer within " +
                                         std::to_string(request.timeout_ms) + " ms");
    }
    if (transfer.activity >= low_speed_bytes) {
      transfer.activity = 0;
      transfer.window = now;
    } else if (now - transfer.window >= low_speed_window) {
      return fail(OTAGATE_TRANSIENT, redacted_url(url) + ": less than " + std::to_string(low_speed_bytes) +
                                         " bytes in " + std::to_string(transfer.options.idle_timeout_ms) +
                                         " ms");
    }
    curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
  }
  CURLcode code = CURLE_OK;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  }
  return code;
}

Outcome<HttpResponse> HttpClient::Slot::run(const HttpRequest& request, const std::string& url,
                                            bool same_origin, const HttpClientOptions& options,
                                            bool may_redirect) {
  Slist headers;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (!longer) return false;
    static_cast<void>(headers.release());
    headers.reset(longer);
    return true;
  };
  // Without a name before it curl takes "Name;" for an empty value and "Name:" for "do not send".
  bool ok = append("Expect:") && append("Transfer-Encoding:");
  for (const HttpHeader& header : request.headers) {
    if (header.origin_only && !same_origin) continue;
    ok = ok && append(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  Transfer transfer(request, options, may_redirect);
  if (!ok || !configure(transfer, url, headers)) {
    return fail(OTAGATE_INTERNAL, "this libcurl cannot be set up as needed; it must be built with OpenSSL");
  }
  if (curl_multi_add_handle(multi_, easy_) != CURLM_OK) return fail(OTAGATE_INTERNAL, "libcurl gave up");
  const Clock::time_point deadline = request.timeout_ms
                                         ? Clock::now() + std::chrono::milliseconds(request.timeout_ms)
                                         : Clock::time_point::max();
  const Outcome<CURLcode> code = drive(transfer, url, deadline);
  long verify_result = 0;
  curl_easy_getinfo(easy_, CURLINFO_SSL_VERIFYRESULT, &verify_result);
  const char* address = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_PRIMARY_IP, &address);
  transfer.response.peer_trusted =
      url.starts_with("https:") || (options.proxy.empty() && address && loopback_address(address));
  curl_multi_remove_handle(multi_, easy_);

  if (!code) return fail(code.error());
  if (transfer.failure) return fail(std::move(*transfer.failure));
  const bool stopped_reading = transfer.response.stopped || transfer.enough;
  if (*code != CURLE_OK && !stopped_reading) {
    return fail(curl_failure(*code, verify_result, error_, request.method, url));
  }
  if (transfer.response.head.status < 200) {
    return fail(OTAGATE_TRANSIENT, redacted_url(url) + ": the answer has no valid status");
  }
  return std::move(transfer.response);
}

struct HttpClient::Shared {
  std::mutex mutex;
  std::vector<std::unique_ptr<Slot>> idle;  // under mutex; the most recently used last
};

HttpClient::HttpClient(HttpClientOptions options)
    : options_(std::move(options)), shared_(std::make_unique<Shared>()) {}

HttpClient::~HttpClient() = default;

Outcome<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  static std::once_flag once;
  static CURLcode started = CURLE_FAILED_INIT;
  std::call_once(once, [] { started = curl_global_init(CURL_GLOBAL_DEFAULT); });
  if (started != CURLE_OK) return fail(OTAGATE_INTERNAL, "libcurl cannot be initialised");
  if (!options.proxy.empty()) {
    const std::size_t end = options.proxy.find("://");
    const std::string scheme = options.proxy.substr(0, end == std::string::npos ? 0 : end);
    if (scheme != "http" && scheme != "https" && scheme != "socks5" && scheme != "socks5h") {
      return fail(OTAGATE_INVALID,
                  "proxy '" + redacted_url(options.proxy) +
                      "' must look like http://host:port, https://host:port or socks5h://host:port");
    }
  }
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(options)));
}

std::unique_ptr<HttpClient::Slot> HttpClient::take(const std::string& origin) {
  const std::scoped_lock lock(shared_->mutex);
  auto& idle = shared_->idle;
  auto found =
      std::find_if(idle.rbegin(), idle.rend(), [&](const auto& slot) { return slot->origin == origin; });
  if (found == idle.rend() && !idle.empty() && idle.size() >= options_.max_idle_connections) {
    found = std::prev(idle.rend());  // the one that was used longest ago makes room
  }
  if (found == idle.rend()) return std::make_unique<Slot>();
  std::unique_ptr<Slot> slot = std::move(*found);
  idle.erase(std::next(found).base());
  return slot;
}

void HttpClient::give_back(std::unique_ptr<Slot> slot) {
  const std::scoped_lock lock(shared_->mutex);
  if (shared_->idle.size() < options_.max_idle_connections) shared_->idle.push_back(std::move(slot));
}

Outcome<HttpResponse> HttpClient::perform(const HttpRequest& request) {
  for (const HttpHeader& header : request.headers) {
    if (!clean_header(header)) {
      return fail(OTAGATE_INVALID,
                  "the header '" + printable(header.name, 64) + "' holds a control character");
    }
  }
  Outcome<UrlParts> target = parse_url(request.url);
  if (!target) return fail(std::move(target.error()));
  const std::string home = target->origin();
  std::string url = request.url;
  for (unsigned redirects = 0;; ++redirects) {
    const std::string origin = target->origin();
    std::unique_ptr<Slot> slot = take(origin);
    if (!slot->usable()) return fail(OTAGATE_TRANSIENT, "out of memory for a connection");
    slot->origin = origin;
    const bool may_redirect = redirects < request.max_redirects;
    Outcome<HttpResponse> response = slot->run(request, url, origin == home, options_, may_redirect);
    give_back(std::move(slot));
    if (!response || !may_redirect || !is_redirect(response->head.status)) return response;

    const std::string* location = response->head.find("location");
    if (!location) return response;
    Outcome<std::string> next = resolve_url(url, *location);
    if (!next) return fail(std::move(next.error()));
    const bool was_tls = target->scheme == "https";
    const bool was_loopback = target->loopback();
    target = parse_url(*next);
    if (!target) return fail(std::move(target.error()));
    if (was_tls && target->scheme != "https") {
      return fail(OTAGATE_PERMANENT,
                  redacted_url(url) + " redirects to " + redacted_url(*next) + " without TLS: refused");
    }
    if (target->loopback() && !was_loopback) {
      return fail(OTAGATE_PERMANENT, redacted_url(url) + " redirects to this machine: refused");
    }
    url = std::move(*next);
  }
}

const std::string* HttpHead::find(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace otagate::common
