// From a path to the representation that answers it: resolved and opened once, shared by all peers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "block.hpp"
#include "entity.hpp"
#include "gateway.hpp"
#include "path.hpp"
#include "peer.hpp"
#include "pins.hpp"
#include "problem.hpp"

namespace otagate::coap {

struct RouteSettings {
  unsigned max_szx = kMaxSzx;
  std::map<std::string, unsigned, std::less<>> max_szx_of_type;
  bool stream = false;
};

// One request for one block.
struct Ask {
  const Target& target;
  std::string_view key;  // of the target
  const Peer& peer;
  std::uint64_t offset = 0;  // 0 starts a transfer
  std::uint16_t mid = 0;
  std::chrono::steady_clock::time_point now;
};

// Either an entity or a problem.
struct Found {
  EntityPtr entity;
  Problem problem;
};

// All on the listener's thread. A route is asked for again when the host's catalog version moves; what
// it led to stays as long as the entity tag is the same. A transfer that has begun goes on with the
// bytes it began with:
//  - `latest` is pinned per peer until its transfer has been idle for a minute;
//  - where a path gets new bytes, peers in mid-transfer keep the old ones, new transfers are pinned to
//    the new ones, until the old ones have been idle for a minute. No other path costs memory per peer.
// With `stream` each transfer opens the blob for itself, so that the host knows who holds which bytes.
class Routes {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxRoutes = 256;
  static constexpr std::size_t kMaxPins = 4096;
  static constexpr std::size_t kMaxStreamPins = 512;  // each holds a reader of its own
  static constexpr std::chrono::seconds kIdle{60};
  // How long a request may hold up the listener for an answer of the host. Usually it is there at once;
  // on a busy machine a 5.03 for firmware that is cached would cost the device more than this costs the
  // others, whose retransmission timeout is two seconds.
  static constexpr std::chrono::milliseconds kWait{200};
  static constexpr std::chrono::milliseconds kOpenDeadline{250};

  Routes(Gateway& gateway, RouteSettings settings, std::uint64_t seed);

  Found find(const Ask& ask);

  // The entity cannot be read: forget it, so that the next request opens it anew.
  void drop(const Ask& ask, const Entity* entity);

  // Observed catalogs: kept, and fetched again by refresh_kept().
  void keep(std::string_view key);
  void keep_none();
  void refresh_kept(Clock::time_point now);
  // True once after a kept catalog has changed and all of them are up to date.
  bool take_kept_news();

  // Lets go of what has been idle. Cheap; call it about once a second while busy() is true.
  void sweep(Clock::time_point now);
  bool busy() const { return !order_.empty() || pins_.size() > 0; }
  void clear();

 private:
  struct Route {
    std::string key;
    Resource resource = Resource::kNone;
    bool latest = false;
    std::string name, version, type, store, cursor, digest;  // the target's, owned
    std::uint32_t limit = kDefaultPage;

    std::uint64_t id = 0;          // hash of the key: the same after the route was forgotten and made again
    std::uint64_t catalog = 0;     // version that `current` or `problem` stands for
    std::uint64_t asked = 0;       // version when the refresh began
    std::uint64_t refreshing = 0;  // its serial, or 0
    bool prompt = true;            // the refresh under way is expected to end at once
    std::uint64_t firmware = 0;
    std::string tag;
    unsigned max_szx = kMaxSzx;
    EntityPtr current;
    EntityPtr previous;
    Problem problem;
    Clock::time_point retry_at = Clock::time_point::max();
    Clock::time_point current_used;
    Clock::time_point previous_used;
    Clock::time_point used;
    bool kept = false;
  };
  using Order = std::list<Route>;

  Route& touch(const Ask& ask);
  Route* refreshed(std::string_view key, std::uint64_t serial);
  bool stale(const Route& route) const;
  void refresh(Route& route);
  void on_resolved(Route& route, const Outcome<std::vector<Firmware>>& outcome);
  void on_opened(Route& route, Outcome<OpenBlob> outcome);
  void on_catalog(Route& route, const Outcome<FirmwarePage>& outcome);
  void settle(Route& route, EntityPtr entity, std::string tag);
  void fail(Route& route, std::uint32_t status, std::uint64_t retry_after_ms);
  void keep_previous(Route& route);
  bool previous_alive(const Route& route) const;
  Found choose(Route& route, const Ask& ask);
  Found choose_streaming(Route& route, const Ask& ask);
  Found waiting(const Route& route) const;
  unsigned szx_for(const std::string& type) const;
  template <class Done>
  void wait_until(Done done);

  Gateway& gateway_;
  RouteSettings settings_;
  std::uint64_t seed_;
  std::uint64_t serial_ = 0;
  Clock::time_point now_;
  Clock::duration wait_credit_{};  // how long requests may still hold up the listener
  Clock::time_point credit_at_;
  bool kept_news_ = false;
  Order order_;                                                  // most recently used first
  std::unordered_map<std::string_view, Order::iterator> index_;  // keys live in the routes
  PinTable pins_;
};

}  // namespace otagate::coap
