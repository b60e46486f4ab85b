// The credentials that Docker, Podman, skopeo and crane keep in a config.json. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"

namespace otagate::oci {

struct Credentials {
  std::string user{};
  std::string password{};
  std::string identity_token{};  // instead of the two: a refresh token of OAuth 2

  bool anonymous() const { return user.empty() && password.empty() && identity_token.empty(); }
};

// What config.json says about the registry at `authority` ("registry.example:5000"), whose Docker Hub goes
// by several names. Nothing found is an error that says what is there and what to do: who names a file
// does not mean to be anonymous. Programs that keep credentials (credsStore, credHelpers) are never run.
common::Outcome<Credentials> read_docker_config(std::string_view text, std::string_view authority);

}  // namespace otagate::oci
