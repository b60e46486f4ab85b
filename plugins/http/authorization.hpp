// The Authorization header: Bearer (RFC 6750), Basic (RFC 7617), and the TargetToken and GatewayToken of
// hawkBit's devices, which are taken as bearer tokens. Pure.
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

// Drogue's devices sign in as "device@application": the device. Empty for any other user.
std::string_view device_of_user(std::string_view user);

std::string base64_encode(std::string_view bytes);

}  // namespace otagate::http
