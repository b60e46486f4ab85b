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

#include "common/bandwidth/bandwidth.hpp"
#include "common/download_tracker/download_tracker.hpp"
#include "devices.hpp"
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

  // How long the acknowledgement of a request waits for its answer: less than the two seconds after which
  // a client repeats it. Then the answer is one of its own.
  static constexpr std::chrono::milliseconds kHold{1200};
  static constexpr std::size_t kMaxLate = 2048;

  // The gateways outlive the responder; `device_gateway` is closed before release().
  Responder(const Settings& settings, Gateway& gateway, plugins::devices::Gateway& device_gateway,
            Devices::Protocols protocols, const sdk::Host& host);

  // Makes the resources of a context. The responder outlives it; release() comes before it is freed.
  void attach(coap_context_t* context);
  void release();

  // A hint that the catalog changed: observers get the new one once it is there.
  void catalog_changed();
  // What had to wait until libcoap was not in the middle of something: call it between events.
  void after_events();

  // No new transfers from now on.
  void drain();
  // When after_events() has something to do all by itself.
  Clock::time_point wake() const;
  // Time of the last block that was not a transfer's last.
  Clock::time_point last_transfer() const { return last_transfer_; }

  Routes& routes() { return routes_; }
  Devices& devices() { return devices_; }
  const Counters& counters() const { return counters_; }

 private:
  // A block that was asked for before its bytes were there (stream = true only).
  struct Waiter {
    coap_session_t* session;  // referenced
    std::vector<std::uint8_t> token;
    bool ready = false;
  };
  // A request of a device protocol whose answer was not there at once.
  struct Late {
    coap_session_t* session;  // referenced
    std::vector<std::uint8_t> token;
    bool confirmable = false;
    bool held = false;  // nothing was sent yet, not even the acknowledgement
    Clock::time_point hold_until;
    ExchangePtr exchange;
  };

  static void on_get(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                     const coap_string_t* query, coap_pdu_t* response);
  static void on_other(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                       const coap_string_t* query, coap_pdu_t* response);
  static int on_event(coap_session_t* session, coap_event_t event);

  void other(coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response);
  bool hand_over(const Request& request, plugins::devices::Method method, const Peer& peer,
                 coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response, bool is_verified,
                 Clock::time_point now);
  bool hold(const ExchangePtr& exchange, const Request& request, coap_session_t* session,
            const coap_pdu_t* pdu, coap_pdu_t* response, Clock::time_point now);
  void send_late();
  void answer_device(const Exchange& exchange, std::size_t token_size, coap_session_t* session,
                     coap_pdu_t* response);
  void get(coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response, bool observable);
  bool verified(coap_session_t* session, const Peer& peer, const Request& request, Clock::time_point now);
  void answer_entity(const EntityPtr& entity, const Ask& ask, const Request& request, coap_session_t* session,
                     const coap_pdu_t* pdu, coap_pdu_t* response, bool is_verified, bool observing);
  void track(const Entity& entity, const Ask& ask, const Slice& slice);
  void answer_problem(const Problem& problem, const Request& request, coap_session_t* session,
                      coap_pdu_t* response, bool is_verified);
  void challenge(const Request& request, const Peer& peer, coap_session_t* session, coap_pdu_t* response);
  bool wait_for(const EntityPtr& entity, const Slice& slice, const Request& request, coap_session_t* session,
                const coap_pdu_t* pdu);
  bool postpone(std::chrono::milliseconds wait, coap_session_t* session, const coap_pdu_t* pdu);
  std::chrono::milliseconds estimate(const Entity& entity, std::uint64_t end) const;

  const Settings& settings_;
  Gateway& gateway_;
  const sdk::Host& host_;
  Routes routes_;
  SourceRate rate_;
  plugins::Bandwidth bandwidth_;
  EchoTokens echo_;
  Observers observers_;
  PathParser path_;
  EntityPtr well_known_;
  coap_resource_t* catalog_ = nullptr;
  std::list<Waiter> waiting_;
  Devices devices_;
  plugins::DownloadTracker tracker_;
  std::list<Late> late_;  // oldest first
  Counters counters_;
  bool draining_ = false;
  Clock::time_point last_transfer_;
  std::array<std::uint8_t, 1024> buffer_;
};

}  // namespace otagate::coap
