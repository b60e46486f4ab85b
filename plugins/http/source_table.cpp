#include "http/source_table.hpp"

#include <algorithm>
#include <cstring>
#include <random>

#include <netinet/in.h>
#include <sys/socket.h>

namespace otagate::http {
namespace {

std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  return value ^ value >> 33;
}

std::uint64_t hash(const Source& source, std::uint64_t seed) {
  return mix(mix(source.high + seed) ^ source.low);
}

}  // namespace

Source source_of(const sockaddr_storage& address) {
  Source source;
  if (address.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address, sizeof in);
    source.low = 0xffff00000000ULL | ntohl(in.sin_addr.s_addr);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &address, sizeof in);
    std::memcpy(&source.high, in.sin6_addr.s6_addr, 8);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
      std::uint32_t v4 = 0;
      std::memcpy(&v4, in.sin6_addr.s6_addr + 12, 4);
      source.low = 0xffff00000000ULL | ntohl(v4);
    }
  }
  return source;
}

std::size_t SourceTable::Hash::operator()(const Source& source) const { return hash(source, 0); }

SourceTable::SourceTable(std::size_t max_connections, std::uint32_t requests_per_second)
    : max_connections_(max_connections), rate_(requests_per_second) {
  std::random_device device;
  seed_ = static_cast<std::uint64_t>(device()) << 32 | device();
  if (rate_ != 0) buckets_.resize(kSets);
}

bool SourceTable::connected(const Source& source) {
  if (max_connections_ == 0) return true;
  const std::lock_guard lock(mutex_);
  std::size_t& count = connections_[source];
  if (count >= max_connections_) return false;
  ++count;
  return true;
}

void SourceTable::disconnected(const Source& source) {
  if (max_connections_ == 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(source);
  if (found != connections_.end() && --found->second == 0) connections_.erase(found);
}

bool SourceTable::take_request(const Source& source, std::uint64_t now_ms) {
  if (rate_ == 0) return true;
  const std::uint64_t capacity = rate_ * 2 * 1000;
  const std::lock_guard lock(mutex_);
  auto& set = buckets_[hash(source, seed_) % kSets];
  Bucket* bucket = nullptr;
  Bucket* fullest = &set[0];
  for (Bucket& candidate : set) {
    // A bucket that was never used is full.
    const std::uint64_t passed = candidate.filled_ms == 0 ? capacity : now_ms - candidate.filled_ms;
    candidate.milli_tokens = std::min(capacity, candidate.milli_tokens + std::min(passed, capacity) * rate_);
    candidate.filled_ms = now_ms;
    if (candidate.source == source) bucket = &candidate;
    if (candidate.milli_tokens > fullest->milli_tokens) fullest = &candidate;
  }
  if (bucket == nullptr) {
    bucket = fullest;
    *bucket = Bucket{source, now_ms, capacity};
  }
  if (bucket->milli_tokens < 1000) return false;
  bucket->milli_tokens -= 1000;
  return true;
}

}  // namespace otagate::http
