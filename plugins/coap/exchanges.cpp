#include "exchanges.hpp"

#include <algorithm>

namespace otagate::coap {

ExchangePtr Exchanges::find(const Peer& peer, std::uint16_t mid, std::uint64_t content) const {
  const auto found = index_.find(Key{peer, mid});
  if (found == index_.end()) return nullptr;
  // A client that has started anew may use a number again for something else.
  const ExchangePtr& exchange = *found->second;
  return exchange->content == content ? exchange : nullptr;
}

void Exchanges::put(const ExchangePtr& exchange) {
  const Key key{exchange->peer, exchange->mid};
  if (const auto known = index_.find(key); known != index_.end()) {
    order_.erase(known->second);
    index_.erase(known);
  }
  if (order_.size() >= kMaxExchanges) {
    index_.erase(Key{order_.back()->peer, order_.back()->mid});
    order_.pop_back();
  }
  order_.push_front(exchange);
  index_.emplace(key, order_.begin());
}

void Exchanges::keep(const Exchange& exchange) {
  std::erase_if(kept_,
                [&](const Kept& one) { return one.peer == exchange.peer && one.what == exchange.what; });
  if (kept_.size() >= kMaxKept) kept_.pop_back();
  kept_.push_front({exchange.peer, exchange.what, *exchange.answer, exchange.at});
}

const DeviceAnswer* Exchanges::kept(const Peer& peer, std::uint64_t what, Clock::time_point now) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
    return one.peer == peer && one.what == what && now - one.used <= kRemembered;
  });
  if (found == kept_.end()) return nullptr;
  found->used = now;
  kept_.splice(kept_.begin(), kept_, found);
  return &kept_.front().answer;
}

void Exchanges::expire(Clock::time_point now) {
  // What still waits for its answer stays in its place until it has one, or the table is full.
  while (!order_.empty() && now - order_.back()->at > kRemembered && order_.back()->answer) {
    index_.erase(Key{order_.back()->peer, order_.back()->mid});
    order_.pop_back();
  }
  while (!kept_.empty() && now - kept_.back().used > kRemembered) kept_.pop_back();
}

void Exchanges::clear() {
  index_.clear();
  order_.clear();
  kept_.clear();
}

}  // namespace otagate::coap
