// Who observes the catalog. libcoap keeps the subscriptions; this bounds them, because each peer could
// make as many as it can think of tokens.
#pragma once

#include <coap3/coap.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace otagate::coap {

class Observers {
 public:
  static constexpr std::size_t kMax = 64;
  static constexpr std::size_t kMaxPerSession = 4;

  // True when the subscription is known already or there is room for it.
  bool admit(const coap_session_t* session, std::span<const std::uint8_t> token) {
    const std::string text(token.begin(), token.end());
    const auto it = sessions_.find(session);
    if (it != sessions_.end() && std::ranges::find(it->second, text) != it->second.end()) return true;
    if (count_ >= kMax || (it != sessions_.end() && it->second.size() >= kMaxPerSession)) return false;
    sessions_[session].push_back(text);
    ++count_;
    return true;
  }

  void remove(const coap_session_t* session, std::span<const std::uint8_t> token) {
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return;
    count_ -= std::erase(it->second, std::string(token.begin(), token.end()));
    if (it->second.empty()) sessions_.erase(it);
  }

  // libcoap frees the session, and it has let go of its subscriptions before.
  void forget(const coap_session_t* session) {
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return;
    count_ -= it->second.size();
    sessions_.erase(it);
  }

  bool empty() const { return count_ == 0; }

 private:
  std::map<const coap_session_t*, std::vector<std::string>> sessions_;
  std::size_t count_ = 0;
};

}  // namespace otagate::coap
