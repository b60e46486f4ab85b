// The Authorization header: Bearer (RFC 6750), Basic (RFC 7617), and the TargetToken and GatewayToken of
// hawkBit's devices, which are taken as bearer tokens. Pure.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace otagate::plugins {

struct Authorization {
  enum class Scheme { kBearer, kBasic };
  Scheme scheme = Scheme::kBearer;
  std::string user;    // Basic only
  std::string secret;  // token or password
};

// The error says what is wrong with the value and never quotes it.
tl::expected<Authorization, std::string> parse_authorization(std::string_view value);

// Drogue's devices sign in as "device@application": the device. Empty for any other user.
std::string_view device_of_user(std::string_view user);

std::string base64_encode(std::string_view bytes);

}  // namespace otagate::plugins
