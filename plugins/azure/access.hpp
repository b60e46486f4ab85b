// How requests are authorised, from the options.
#pragma once

#include <string>

#include "common/http_client/failure.hpp"

namespace otagate::azure {

// The options as they are written; empty where they are not.
struct AccessOptions {
  std::string connection_string{};
  std::string endpoint{};
  std::string account{};
  std::string account_key{};
  std::string sas_token{};
  std::string tenant{};
  std::string client_id{};
  std::string client_secret{};
  std::string token_endpoint{};
  bool anonymous = false;
};

struct Access {
  enum class Kind { anonymous, shared_key, sas, entra };

  Kind kind = Kind::anonymous;
  std::string endpoint{};
  std::string account{};  // may be empty where nothing is signed with it
  std::string key{};      // bytes
  std::string sas{};      // a query, encoded, without '?'
  std::string token_endpoint{};
};

// Exactly one way must be given. Credentials that travel as they are (a SAS, a client's secret, tokens) go
// over https or to this machine only. Errors are OTAGATE_INVALID, name the option and show no secret.
common::Outcome<Access> choose_access(const AccessOptions& options);

}  // namespace otagate::azure
