#include "cache/rejected_peers.hpp"

#include <functional>
#include <string>
#include <vector>

namespace otagate::cache {

namespace {

std::uint64_t of_object(const FillKey& key) {
  return std::hash<std::string>{}(key.store + '\0' + key.object);
}

std::uint64_t of_digest(const Digest& digest) { return std::hash<Digest>{}(digest) ^ 0x9e3779b97f4a7c15ull; }

std::vector<std::uint64_t> names(const FillKey* key, const std::optional<Digest>& digest) {
  std::vector<std::uint64_t> all;
  if (key != nullptr) all.push_back(of_object(*key));
  if (key != nullptr && key->expected) all.push_back(of_digest(*key->expected));
  if (digest) all.push_back(of_digest(*digest));
  return all;
}

}  // namespace

void RejectedPeers::add(std::span<const std::uint64_t> peers, const FillKey* key,
                        const std::optional<Digest>& digest) {
  const std::scoped_lock lock(mutex_);
  for (const std::uint64_t name : names(key, digest))
    for (const std::uint64_t peer : peers) add_pair({peer, name});
}

void RejectedPeers::add_pair(Pair pair) {
  if (!pairs_.insert(pair).second) return;
  order_.push_back(pair);
  while (order_.size() > kMost) {
    pairs_.erase(order_.front());
    order_.pop_front();
  }
}

bool RejectedPeers::contains(std::uint64_t peer, const FillKey& key) const {
  const std::scoped_lock lock(mutex_);
  for (const std::uint64_t name : names(&key, std::nullopt))
    if (pairs_.contains({peer, name})) return true;
  return false;
}

void RejectedPeers::remove(std::uint64_t peer, const FillKey& key) {
  const std::scoped_lock lock(mutex_);
  for (const std::uint64_t name : names(&key, std::nullopt)) pairs_.erase({peer, name});
}

}  // namespace otagate::cache
