// HTTP to a store's upstream: one attempt per call, with warm connections between the calls.
//
// TLS verification cannot be switched off. Nothing is retried here, redirects are followed only when
// asked for, and what a caller marks as bound to the origin never reaches another host. The trust
// store is loaded when the first TLS connection is made and is shared by all clients of the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http_client/failure.hpp"

namespace otagate::common {

// What a peer may make us hold.
inline constexpr std::size_t kMaxHeaderBytes = 64 * 1024;
inline constexpr std::size_t kMaxHeaders = 256;
inline constexpr std::size_t kMaxErrorBody = 16 * 1024;

struct HttpClientOptions {
  std::string ca_file{};  // PEM; empty: the system's certificates
  std::string proxy{};    // "http://host:3128", "socks5h://..."; empty: none
  std::uint64_t connect_timeout_ms = 10'000;
  std::uint64_t idle_timeout_ms = 30'000;  // the window of `low_speed`
  std::uint64_t low_speed = 1;             // bytes a second over the window, else the attempt ends
  std::size_t max_idle_connections = 8;
  std::string user_agent = "otagate";
};

struct HttpHeader {
  std::string name{};
  std::string value{};
  // Bound to the origin of the request: dropped when a redirect leaves it. Only what is no secret and
  // means the same everywhere (Range, Accept) should say false.
  bool origin_only = true;
};

// The bytes of a request. `fd` is read by position and stays open until perform() returned.
struct HttpBody {
  std::string_view data{};
  int fd = -1;  // instead of data
  std::uint64_t size = 0;
};

struct HttpHead {
  long status = 0;
  std::vector<std::pair<std::string, std::string>> headers{};  // names in lower case, as received

  // The first header of that name (in lower case), nullptr when there is none.
  const std::string* find(std::string_view name) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // fully encoded; "." and ".." segments are sent as they are
  std::vector<HttpHeader> headers;
  std::optional<HttpBody> body;
  unsigned max_redirects = 0;       // 0: a 3xx is an answer like any other
  std::size_t max_body = 1u << 20;  // of a 2xx answer that no on_body takes
  std::uint64_t timeout_ms = 0;     // of the whole attempt, 0: none

  // The following run on the thread that called perform().
  // The head of the final answer. false: stop, the body is not wanted.
  std::function<bool(const HttpHead&)> on_head;
  // Bytes of a 2xx answer in order; may block, time in here counts towards no timeout. false: stop.
  std::function<bool(std::span<const char>)> on_body;
  // Asked at least ten times a second; true: end with OTAGATE_CANCELLED.
  std::function<bool()> cancelled;
};

struct HttpResponse {
  HttpHead head;
  std::string body;              // an error's, cut at kMaxErrorBody; a 2xx's where on_body is not set
  std::uint64_t body_bytes = 0;  // received and handed on, of a 2xx
  bool stopped = false;          // on_head or on_body said so
  bool peer_trusted = false;     // verified TLS, or a loopback address without proxy: its Date counts
};

class HttpClient {
 public:
  // Checks the options; touches neither network nor certificates.
  static Outcome<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
  // No perform() may be running.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any thread, any number at the same time; blocks until the answer is complete. Every answer with a
  // status line is a success here, 4xx and 5xx included: classify_status() names their class. A
  // failure is one of the connection, or OTAGATE_CANCELLED, or an answer that broke a bound.
  Outcome<HttpResponse> perform(const HttpRequest& request);

 private:
  class Slot;
  explicit HttpClient(HttpClientOptions options);
  std::unique_ptr<Slot> take(const std::string& origin);
  void give_back(std::unique_ptr<Slot> slot);

  struct Shared;
  const HttpClientOptions options_;
  const std::unique_ptr<Shared> shared_;
};

}  // namespace otagate::common
