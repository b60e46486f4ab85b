// Requests and answers of the admin API as its handlers see them, without the HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/fd.hpp"

namespace otagate::api {

inline constexpr std::uint64_t kMaxBody = 64 << 10;
inline constexpr std::uint64_t kMaxLargeBody = 4 << 20;  // of the routes that take lists

struct Request {
  std::string method;             // "GET"
  std::vector<std::string> path;  // decoded segments, without the route's literals: its {}s in order
  std::map<std::string, std::string> query;  // decoded; a repeated key keeps its first value
  std::string body;
  std::string content_type;  // media type in lower case, without parameters; empty: not said
  std::string accept;        // as sent

  std::string_view parameter(const std::string& key) const {
    const auto found = query.find(key);
    return found == query.end() ? std::string_view() : std::string_view(found->second);
  }
};

// Bytes of a file as the body of an answer.
struct FileBody {
  std::shared_ptr<const void> hold;  // keeps the descriptor open
  int fd = -1;                       // read by position, from 0
  std::uint64_t size = 0;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::uint64_t retry_after_s = 0;  // 0: not said
  std::optional<FileBody> file{};   // instead of body
};

// Exactly once per request, any thread.
using Respond = std::function<void(Response)>;
using Handler = std::function<void(const Request&, Respond)>;
// Of a body of any size, which is passed on as it comes: `size` bytes go to the socket that is returned, and
// it is closed after them, or before when the peer has gone. No socket: nothing is wanted, the answer has
// been given or comes without.
using UploadHandler = std::function<UniqueFd(const Request&, std::uint64_t size, Respond)>;

// {"code": "not_found", "message": "..."} with the HTTP status that fits.
Response error_response(const Error& error);

// Method and path to a handler. Built once, then read by one thread.
class Router {
 public:
  // "/api/v1/blobs/{}/pin": {} is one segment, {*} at the end is the rest of the path, one segment or more.
  void add(std::string method, std::string_view pattern, Handler handler, std::uint64_t max_body = kMaxBody);

  void add_upload(std::string method, std::string_view pattern, UploadHandler handler);

  // Whether the body is for an upload handler, and then that.
  bool is_upload(std::string_view method, std::string_view target) const;
  UniqueFd upload(Request request, std::string_view target, std::uint64_t size, Respond respond) const;

  // Calls the handler or answers 404, or 405 where only the method is wrong. `target` is the request's
  // target: path and query, percent-encoded; path and query of `request` are filled in from it.
  void route(Request request, std::string_view target, Respond respond) const;

  // How large a body the handler takes.
  std::uint64_t max_body(std::string_view method, std::string_view target) const;

  // Every route as "GET /api/v1/status", for the test that compares them with the description.
  std::vector<std::string> routes() const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    Handler handler;
    std::uint64_t max_body = kMaxBody;
    UploadHandler upload{};  // instead of handler
  };
  const Route* find(std::string_view method, std::string_view target) const;

  std::vector<Route> routes_;
};

// "text/csv" of "Text/CSV; charset=utf-8".
std::string media_type(std::string_view header);

// A number in a query: `fallback` when absent, an error that names the key and the bounds otherwise.
Result<std::uint64_t> number_parameter(const Request& request, const std::string& key, std::uint64_t fallback,
                                       std::uint64_t least, std::uint64_t most);

}  // namespace otagate::api
