#include "oci/docker_config.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "common/authorization/authorization.hpp"
#include "oci/json.hpp"

namespace otagate::oci {
namespace {

constexpr std::size_t kMaxField = 16 * 1024;

// "https://index.docker.io/v1/" and "index.docker.io" are the same registry.
std::string_view host_of(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  return key.substr(0, key.find('/'));
}

bool docker_hub(std::string_view host) {
  return host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io";
}

bool same_registry(std::string_view key, std::string_view authority) {
  const std::string_view host = host_of(key);
  return host == authority || (docker_hub(host) && docker_hub(authority));
}

common::Outcome<Credentials> read_entry(const boost::json::object& entry, std::string_view authority) {
  const auto refuse = [&](const std::string& why) {
    return common::fail(OTAGATE_INVALID,
                        "'docker_config': the entry of " + std::string(authority) + " " + why);
  };
  Credentials out;
  out.identity_token = text_member(entry, "identitytoken", kMaxField);
  if (!out.identity_token.empty()) return out;
  out.user = text_member(entry, "username", kMaxField);
  out.password = text_member(entry, "password", kMaxField);
  if (!out.password.empty()) return out;
  const std::string both = text_member(entry, "auth", kMaxField);
  if (both.empty()) {
    return refuse(
        "has no 'auth': the password is kept by a program (credsStore), which the gateway does not "
        "run. Set 'username' and 'password' instead");
  }
  auto parsed = plugins::parse_authorization("Basic " + both);
  if (!parsed) return refuse("has an 'auth' that is not base64 of user:password");
  // Docker pads what it writes with zero bytes.
  while (parsed->secret.ends_with('\0')) parsed->secret.pop_back();
  out.user = std::move(parsed->user);
  out.password = std::move(parsed->secret);
  return out;
}

}  // namespace

common::Outcome<Credentials> read_docker_config(std::string_view text, std::string_view authority) {
  const auto document = parse_object(text);
  if (!document)
    return common::fail(OTAGATE_INVALID, "'docker_config' is no JSON object such as ~/.docker/config.json");
  if (const boost::json::object* entries = object_member(*document, "auths")) {
    for (const auto& [key, value] : *entries) {
      if (same_registry({key.data(), key.size()}, authority) && value.is_object()) {
        return read_entry(value.get_object(), authority);
      }
    }
  }
  const bool program = document->contains("credsStore") || document->contains("credHelpers");
  return common::fail(OTAGATE_INVALID,
                      "'docker_config' has nothing under 'auths' for " + std::string(authority) +
                          (program ? "; the programs it names are not run, set 'username' and "
                                     "'password' instead"
                                   : ""));
}

}  // namespace otagate::oci
