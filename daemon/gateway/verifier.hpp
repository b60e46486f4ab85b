// The verification policy of one fill: what the image carries inside, and what `require` asks for.
#pragma once

#include "cache/host.hpp"
#include "config/config.hpp"
#include "gateway/journal.hpp"

namespace otagate::gateway {

// Immutable; called on the cache's hash thread.
class PolicyVerifier final : public cache::Verifier {
 public:
  PolicyVerifier(config::Require require, Journal& journal) : require_(require), journal_(journal) {}

  Result<cache::VerifyLevel> verify(const cache::FillKey& key, const Digest& digest,
                                    cache::VerifyLevel reached, const cache::BlobView& bytes) override;

 private:
  const config::Require require_;
  Journal& journal_;
};

// The level that `require` names.
cache::VerifyLevel level_of(config::Require require);

}  // namespace otagate::gateway
