// Who sends how much: connections and requests per source address. Bounded whatever peers do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

struct sockaddr_storage;

namespace otagate::http {

// An IPv4 address, or the /64 an IPv6 address is in: what one peer usually has to itself.
struct Source {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Source&) const = default;
};

Source source_of(const sockaddr_storage& address);

// Any thread. Times are milliseconds of a monotonic clock.
class SourceTable {
 public:
  // 0 switches a limit off.
  SourceTable(std::size_t max_connections, std::uint32_t requests_per_second);

  // False: the source has max_connections already; nothing was counted.
  bool connected(const Source& source);
  void disconnected(const Source& source);

  // Takes one token of the source's bucket, which holds two seconds' worth. False: it is empty.
  bool take_request(const Source& source, std::uint64_t now_ms);

 private:
  struct Hash {
    std::size_t operator()(const Source& source) const;
  };
  struct Bucket {
    Source source;
    std::uint64_t filled_ms = 0;
    std::uint64_t milli_tokens = 0;
  };
  // Sets of four: when a set is full the fullest bucket gives way, because forgetting it forgives least.
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kSets = 1024;

  const std::size_t max_connections_;
  const std::uint64_t rate_;
  std::uint64_t seed_;  // so that nobody can aim at one set
  std::mutex mutex_;
  std::unordered_map<Source, std::size_t, Hash> connections_;  // guarded by mutex_; no entry holds 0
  std::vector<std::array<Bucket, kWays>> buckets_;             // guarded by mutex_; empty without a rate
};

}  // namespace otagate::http
