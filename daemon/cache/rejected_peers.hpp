// Who had bytes that turned out bad.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "cache/types.hpp"

namespace otagate::cache {

// The newest 4096 pairs of peer and object (or digest). Thread-safe.
class RejectedPeers {
 public:
  void add(std::span<const std::uint64_t> peers, const FillKey* key, const std::optional<Digest>& digest);
  bool contains(std::uint64_t peer, const FillKey& key) const;
  void remove(std::uint64_t peer, const FillKey& key);

 private:
  static constexpr std::size_t kMost = 4096;
  using Pair = std::pair<std::uint64_t, std::uint64_t>;

  void add_pair(Pair pair);

  mutable std::mutex mutex_;
  std::set<Pair> pairs_;
  std::deque<Pair> order_;  // oldest first; may name pairs that were removed since
};

}  // namespace otagate::cache
