// Which representation a peer's transfer began with, so that it never gets bytes of another.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "entity.hpp"
#include "peer.hpp"
#include "problem.hpp"

namespace otagate::coap {

struct Pin {
  EntityPtr entity;
  std::uint16_t first_mid = 0;  // message id of the request for block 0: a duplicate starts nothing new
  std::uint64_t opening = 0;    // serial of the open() under way, or 0
  Problem problem;              // the open() failed
  std::chrono::steady_clock::time_point used;
};

// A bounded table; when it is full, the pin that was idle for longest goes. Listener's thread only.
class PinTable {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Key {
    Peer peer;
    std::uint64_t route = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };

  PinTable(std::size_t capacity, std::uint64_t seed) : capacity_(capacity), index_(0, Hash{seed}) {}

  // Marks the pin as used.
  Pin* find(const Key& key, Time now) {
    const auto it = index_.find(key);
    if (it == index_.end()) return nullptr;
    it->second->second.used = now;
    order_.splice(order_.begin(), order_, it->second);
    return &it->second->second;
  }

  // A new pin, or the old one emptied.
  Pin& put(const Key& key, Time now) {
    if (auto* pin = find(key, now)) {
      *pin = Pin{};
      pin->used = now;
      return *pin;
    }
    if (order_.size() >= capacity_) erase(order_.back().first);
    order_.emplace_front(key, Pin{});
    order_.front().second.used = now;
    index_.emplace(key, order_.begin());
    return order_.front().second;
  }

  void erase(const Key& key) {
    const auto it = index_.find(key);
    if (it == index_.end()) return;
    const auto node = it->second;
    index_.erase(it);
    order_.erase(node);
  }

  void expire(Time before) {
    while (!order_.empty() && order_.back().second.used < before) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
  }

  void clear() {
    index_.clear();
    order_.clear();
  }

  std::size_t size() const { return order_.size(); }

 private:
  struct Hash {
    std::uint64_t seed = 0;
    std::size_t operator()(const Key& key) const { return PeerHash{seed}(key.peer) ^ key.route; }
  };
  using Order = std::list<std::pair<Key, Pin>>;

  std::size_t capacity_;
  Order order_;  // most recently used first
  std::unordered_map<Key, Order::iterator, Hash> index_;
};

}  // namespace otagate::coap
