// A request's head, read by Beast's parser into views: nothing is copied or allocated. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/conditions.hpp"
#include "http/problem.hpp"

namespace otagate::http {

enum class Method {
  kGet,
  kHead,
  kPost,  // this and the next two: for device protocols only, 405 elsewhere
  kPut,
  kDelete,
  kKnown,    // another method of RFC 9110 or of a registry: 405
  kUnknown,  // 501
};

// The views point into the head that was parsed and live as long as it.
struct Request {
  Method method = Method::kUnknown;
  bool http_1_1 = false;
  bool keep_alive = false;
  bool has_body = false;       // a Content-Length above 0, or chunked
  bool length_stated = false;  // by a Content-Length, or because it comes in chunks
  bool expect_continue = false;
  std::uint64_t content_length = 0;
  std::string_view target;  // as sent
  std::string_view host;
  std::string_view authorization;
  std::string_view content_type;
  std::string_view accept;  // the first one
  std::string_view range;
  Conditions conditions;
};

// Whether it can be answered without a device protocol.
inline bool only_reads(Method method) { return method == Method::kGet || method == Method::kHead; }
// Whether a device protocol may take it, and its body with it.
inline bool may_change(Method method) {
  return method == Method::kPost || method == Method::kPut || method == Method::kDelete;
}

inline constexpr std::size_t kMaxFields = 100;

// Bytes of the head with its empty line, or 0 when it is not complete. `searched` is how far an earlier
// call with fewer of the same bytes got, so that a peer that sends byte by byte costs no more than one
// that does not; start with 0.
std::size_t find_head(std::string_view bytes, std::size_t& searched);

// `head` is exactly what find_head() found. On a problem the connection cannot be used any further,
// because where the next request begins is not known; `request` has what was read before it.
std::optional<Problem> parse_request(std::string_view head, Request& request);

}  // namespace otagate::http
