// Answers requests: limits, routes, blocks. Everything on the listener's thread.
#pragma once

#include <coap3/coap.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "echo.hpp"
#include "gateway.hpp"
#include "observers.hpp"
#include "path.hpp"
#include "rate.hpp"
#include "reply.hpp"
#include "request.hpp"
#include "routes.hpp"
#include "settings.hpp"

namespace otagate::coap {

struct Counters {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;         // of payloads
  std::uint64_t not_ready = 0;     // 5.03
  std::uint64_t challenged = 0;    // 4.01 with Echo
  std::uint64_t rate_limited = 0;  // 4.29
};

class Responder {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxWaiting = 256;

  Responder(const Settings& settings, Gateway& gateway, const sdk::Host& host);

  // Makes the resources of a context. The responder outlives it; release() comes before it is freed.
  void attach(coap_context_t* context);
  void release();

  // A hint that the catalog changed: observers get the new one once it is there.
  void catalog_changed();
  // What had to wait until libcoap was not in the middle of something: call it between events.
  void after_events();

  // No new transfers from now on.
  void drain() { draining_ = true; }
  // Time of the last block that was not a transfer's last.
  Clock::time_point last_transfer() const { return last_transfer_; }

  Routes& routes() { return routes_; }
  const Counters& counters() const { return counters_; }

 private:
  // A block that was asked for before its bytes were there (stream = true only).
  struct Waiter {
    coap_session_t* session;  // referenced
    std::vector<std::uint8_t> token;
    bool ready = false;
  };

  static void on_get(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                     const coap_string_t* query, coap_pdu_t* response);
  static void on_other(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                       const coap_string_t* query, coap_pdu_t* response);
  static int on_event(coap_session_t* session, coap_event_t event);

  void get(coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response, bool observable);
  bool verified(coap_session_t* session, const Peer& peer, const Request& request, Clock::time_point now);
  void answer_entity(const EntityPtr& entity, const Ask& ask, const Request& request, coap_session_t* session,
                     const coap_pdu_t* pdu, coap_pdu_t* response, bool is_verified, bool observing);
  void answer_problem(const Problem& problem, const Request& request, coap_session_t* session,
                      coap_pdu_t* response, bool is_verified);
  void challenge(const Request& request, const Peer& peer, coap_session_t* session, coap_pdu_t* response);
  bool wait_for(const EntityPtr& entity, const Slice& slice, const Request& request, coap_session_t* session,
                const coap_pdu_t* pdu);
  std::chrono::milliseconds estimate(const Entity& entity, std::uint64_t end) const;

  const Settings& settings_;
  Gateway& gateway_;
  const sdk::Host& host_;
  Routes routes_;
  SourceRate rate_;
  EchoTokens echo_;
  Observers observers_;
  PathParser path_;
  EntityPtr well_known_;
  coap_resource_t* catalog_ = nullptr;
  std::list<Waiter> waiting_;
  Counters counters_;
  bool draining_ = false;
  Clock::time_point last_transfer_;
  std::array<std::uint8_t, 1024> buffer_;
};

}  // namespace otagate::coap
