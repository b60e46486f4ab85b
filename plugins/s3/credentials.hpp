// Where the keys that sign requests come from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/http_client/failure.hpp"
#include "s3/sigv4.hpp"

namespace otagate::s3 {

// Any thread.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // May ask the network; `cancelled` ends that early.
  virtual common::Outcome<Credentials> get(const std::function<bool()>& cancelled) = 0;
  // Whole seconds that what get() gave is good for, UINT64_MAX for keys that do not end.
  virtual std::uint64_t seconds_left() const { return UINT64_MAX; }
  // The server calls them expired: do not give them out again.
  virtual void reject() {}
  // Whether get() may have better ones after reject().
  virtual bool renewable() const { return false; }
};

std::unique_ptr<CredentialSource> fixed_credentials(Credentials credentials);

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, read now.
common::Outcome<std::unique_ptr<CredentialSource>> environment_credentials();

// The role of the machine or container: EC2's instance metadata service in its version 2 (a session
// token first, then the role's keys), or, where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI is
// set, the container's. Keys are fetched when first needed and kept until five minutes before they end.
// Never through a proxy. `endpoint` is the service's origin, empty for AWS's own.
common::Outcome<std::unique_ptr<CredentialSource>> metadata_credentials(const std::string& endpoint);

}  // namespace otagate::s3
