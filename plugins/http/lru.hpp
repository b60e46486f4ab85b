// A bounded map: when it is full, the entry that was used least recently makes room. Pure.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace otagate::http {

template <typename Value>
class Lru {
 public:
  // `capacity` is at least 1.
  explicit Lru(std::size_t capacity) : capacity_(capacity) {}
  Lru(const Lru&) = delete;
  Lru& operator=(const Lru&) = delete;

  // Null: not there. Counts as a use; allocates nothing. Valid until the next call that changes the map.
  Value* find(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  void put(std::string_view key, Value value) {
    if (Value* known = find(key)) {
      *known = std::move(value);
      return;
    }
    if (order_.size() >= capacity_) erase(order_.back().first);
    order_.emplace_front(std::string(key), std::move(value));
    index_.emplace(order_.front().first, order_.begin());
  }

  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto entry = found->second;
    index_.erase(found);
    order_.erase(entry);
  }

  std::size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<const std::string, Value>>;

  const std::size_t capacity_;
  Order order_;                                                           // most recently used first
  std::unordered_map<std::string_view, typename Order::iterator> index_;  // keys live in order_
};

}  // namespace otagate::http
