#include "gateway/fleet_links.hpp"

#include <algorithm>

namespace otagate::gateway {

void FleetLinks::fill(const Entry& entry, std::function<void(Result<Digest>)> done) {
  opener_.open(entry, {}, [done = std::move(done)](Result<cache::ReaderPtr> reader) {
    if (!reader) return done(fail(std::move(reader).error()));
    const auto digest = (*reader)->digest();
    if (!digest) return done(fail(Code::internal, "the blob has no digest although it is verified"));
    done(*digest);
  });
}

void FleetLinks::keep(const std::string& owner, std::vector<Digest> digests) {
  std::vector<Digest>& kept = kept_[owner];
  // The new ones first: what is in both is never without a pin.
  for (const Digest& digest : digests) {
    if (!std::binary_search(kept.begin(), kept.end(), digest)) cache_.pin(digest, owner);
  }
  for (const Digest& digest : kept) {
    if (!std::binary_search(digests.begin(), digests.end(), digest)) cache_.unpin(digest, owner);
  }
  kept = std::move(digests);
  if (kept.empty()) kept_.erase(owner);
}

std::shared_ptr<plugin::TransportInstance> FleetLinks::find(const std::string& name) const {
  for (auto& transport : transports_()) {
    if (transport->name() == name) return std::move(transport);
  }
  return nullptr;
}

void FleetLinks::nudge(const std::string& transport, const std::string& device) {
  if (const auto found = find(transport)) found->nudge(device);
}

void FleetLinks::revoke(const std::string& transport, std::uint64_t attempt, std::uint32_t reason) {
  if (const auto found = find(transport)) found->revoke(attempt, reason);
}

void FleetLinks::credentials_changed() {
  for (const auto& transport : transports_()) transport->credentials_changed();
}

}  // namespace otagate::gateway
