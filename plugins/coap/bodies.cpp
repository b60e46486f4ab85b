#include "bodies.hpp"

#include <algorithm>

namespace otagate::coap {

Bodies::Outcome Bodies::add(const Peer& peer, std::uint64_t what, const Block& block,
                            std::span<const std::uint8_t> payload, Clock::time_point now,
                            std::string& whole) {
  const std::size_t offset = static_cast<std::size_t>(block.number) << (block.szx + 4);
  const std::size_t size = block_bytes(block.szx);
  const bool fits = block.more ? payload.size() == size : payload.size() <= size;
  const std::string_view bytes(reinterpret_cast<const char*>(payload.data()), payload.size());
  auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& one) { return one.peer == peer; });
  const auto give_up = [&](Outcome outcome) {
    if (open != open_.end()) open_.erase(open);
    return outcome;
  };
  if (!fits) return give_up(Outcome::kMalformed);
  if (offset + bytes.size() > kMaxBody) return give_up(Outcome::kTooLarge);
  if (block.number == 0) {
    if (open != open_.end()) open_.erase(open);
    if (!block.more) {
      whole = bytes;
      return Outcome::kComplete;
    }
    expire(now);
    if (open_.size() >= kMaxOpen) return Outcome::kBusy;
    open_.push_front({peer, what, std::string(bytes), now});
    return Outcome::kMore;
  }
  if (open == open_.end() || open->what != what || now - open->used > kIdle) {
    return give_up(Outcome::kIncomplete);
  }
  // The same block once more: our answer to it was lost.
  const bool repeated = block.more && offset + bytes.size() == open->bytes.size() &&
                        std::string_view(open->bytes).substr(offset) == bytes;
  if (!repeated) {
    if (offset != open->bytes.size()) return give_up(Outcome::kIncomplete);
    open->bytes += bytes;
  }
  open->used = now;
  open_.splice(open_.begin(), open_, open);
  if (block.more) return Outcome::kMore;
  whole = std::move(open_.front().bytes);
  open_.pop_front();
  return Outcome::kComplete;
}

void Bodies::expire(Clock::time_point now) {
  while (!open_.empty() && now - open_.back().used > kIdle) open_.pop_back();
}

}  // namespace otagate::coap
