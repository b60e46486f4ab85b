// Requests of device protocols under way and those just answered: what comes twice is answered once, and an
// answer of several blocks is kept until it has been fetched. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "block.hpp"
#include "peer.hpp"

namespace otagate::coap {

struct DeviceAnswer {
  std::uint8_t code = 0;
  std::optional<std::uint16_t> format;
  std::optional<std::uint32_t> max_age;
  std::string command;  // option 4210
  std::shared_ptr<const std::string> body;
};

struct Exchange {
  Peer peer;
  std::uint16_t mid = 0;
  std::uint64_t what = 0;     // hash of method, path and query
  std::uint64_t content = 0;  // hash of all of the request
  std::optional<Block> block1;
  Block asked;  // Block2: what of the answer is asked for
  std::chrono::steady_clock::time_point at;
  std::optional<DeviceAnswer> answer;
  bool late = false;  // the answer will not be the one to this datagram
};
using ExchangePtr = std::shared_ptr<Exchange>;

// On the listener's thread.
class Exchanges {
 public:
  using Clock = std::chrono::steady_clock;
  // Requests are remembered for as long as a client repeats them (MAX_TRANSMIT_SPAN is 45 s), answers of
  // several blocks for as long as a slow one takes to fetch them.
  static constexpr std::chrono::seconds kRemembered{60};
  static constexpr std::size_t kMaxExchanges = 2048;
  static constexpr std::size_t kMaxKept = 64;

  explicit Exchanges(std::uint64_t seed) : index_(0, Hash{seed}) {}

  // The one that is the same request, or null.
  ExchangePtr find(const Peer& peer, std::uint16_t mid, std::uint64_t content) const;
  void put(const ExchangePtr& exchange);

  // Of an answer that did not fit into one block, for the requests that fetch the rest.
  void keep(const Exchange& exchange);
  const DeviceAnswer* kept(const Peer& peer, std::uint64_t what, Clock::time_point now);

  void expire(Clock::time_point now);
  bool empty() const { return order_.empty() && kept_.empty(); }
  std::size_t size() const { return order_.size(); }
  void clear();

 private:
  struct Key {
    Peer peer;
    std::uint16_t mid = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::uint64_t seed = 0;
    std::size_t operator()(const Key& key) const {
      return PeerHash{seed}(key.peer) ^ (std::size_t{key.mid} * 0x9e3779b97f4a7c15ULL);
    }
  };
  struct Kept {
    Peer peer;
    std::uint64_t what = 0;
    DeviceAnswer answer;
    Clock::time_point used;
  };
  using Order = std::list<ExchangePtr>;

  Order order_;  // newest first
  std::unordered_map<Key, Order::iterator, Hash> index_;
  std::list<Kept> kept_;  // most recently used first
};

}  // namespace otagate::coap
