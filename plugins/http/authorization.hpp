// The Authorization header: Bearer (RFC 6750) and Basic (RFC 7617). Pure.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "http/problem.hpp"

namespace otagate::http {

struct Authorization {
  enum class Scheme { kBearer, kBasic };
  Scheme scheme = Scheme::kBearer;
  std::string user;    // Basic only
  std::string secret;  // token or password
};

// A value that cannot be read is a 401: the peer is told which schemes there are. The message never
// quotes the value.
tl::expected<Authorization, Problem> parse_authorization(std::string_view value);

std::string base64_encode(std::string_view bytes);

}  // namespace otagate::http
