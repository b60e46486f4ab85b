#include "responder.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "compat.hpp"
#include "problem.hpp"

namespace otagate::coap {
namespace {

constexpr std::uint8_t kContent = code_of(2, 5);
constexpr std::size_t kAmplification = 3;  // RFC 9175, 2.4
// Bits of a session's app data.
constexpr std::uintptr_t kTrusted = 1;

// How long a block may wait for bandwidth: a client waits for a separate answer for about so long.
constexpr std::int64_t kMostPostponedMs = 20'000;

std::uint64_t milliseconds_of(Responder::Clock::time_point at) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count());
}

constexpr char kLinks[] =
    "</firmware>;ct=50;obs;rt=\"otagate.catalog\",</firmware/{name}/{version}>;ct=42;rt=\"otagate.firmware\","
    "</blobs/sha256/{digest}>;ct=42;rt=\"otagate.blob\"";

std::optional<Peer> peer_of_session(const coap_session_t* session) {
  const auto* address = coap_session_get_addr_remote(session);
  return address == nullptr ? std::nullopt : peer_of(address->addr.sa);
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  coap_prng(&seed, sizeof(seed));
  return seed;
}

coap_bin_const_t const_token(const std::vector<std::uint8_t>& token) { return {token.size(), token.data()}; }

}  // namespace

Responder::Responder(const Settings& settings, Gateway& gateway, plugins::devices::Gateway& device_gateway,
                     Devices::Protocols protocols, const sdk::Host& host)
    : settings_(settings),
      gateway_(gateway),
      host_(host),
      routes_(gateway,
              RouteSettings{.max_szx = settings.max_szx,
                            .max_szx_of_type = settings.max_szx_of_type,
                            .stream = settings.stream},
              random_seed()),
      rate_(settings.requests_per_second, random_seed()),
      bandwidth_(settings.bandwidth),
      devices_(std::move(protocols), gateway, device_gateway, host, random_seed()),
      tracker_(device_gateway),
      buffer_{} {
  auto links = std::make_shared<Document>(kLinks, kLinkFormat);
  links->max_szx = settings.max_szx;
  well_known_ = std::move(links);
}

void Responder::attach(coap_context_t* context) {
  coap_set_app_data(context, this);
  coap_register_event_handler(context, &Responder::on_event);
  // Critical by its number, so libcoap would refuse it; answers to GETs of firmware are the same with it.
  coap_register_option(context, kAuthorizationOption);
  const auto add = [&](coap_resource_t* resource) {
    coap_resource_set_userdata(resource, this);
    coap_register_request_handler(resource, COAP_REQUEST_GET, &Responder::on_get);
    for (const auto method : {COAP_REQUEST_POST, COAP_REQUEST_PUT, COAP_REQUEST_DELETE, COAP_REQUEST_FETCH,
                              COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH}) {
      coap_register_request_handler(resource, method, &Responder::on_other);
    }
    coap_add_resource(context, resource);
    return resource;
  };
  // Always confirmable, so that observers who are gone are noticed.
  catalog_ = add(coap_resource_init(coap_make_str_const("firmware"), COAP_RESOURCE_FLAGS_NOTIFY_CON));
  coap_resource_set_get_observable(catalog_, 1);
  // libcoap's own would list registered paths only, and answers strangers at any length.
  add(coap_resource_init(coap_make_str_const(".well-known/core"), 0));
  add(coap_resource_unknown_init(&Responder::on_other));
}

void Responder::release() {
  for (const auto& waiter : waiting_) coap_session_release(waiter.session);
  waiting_.clear();
  for (const auto& late : late_) coap_session_release(late.session);
  late_.clear();
  devices_.clear();
  routes_.clear();
  catalog_ = nullptr;
}

void Responder::catalog_changed() { routes_.refresh_kept(Clock::now()); }

void Responder::drain() {
  draining_ = true;
  devices_.refuse_waiting();
}

void Responder::after_events() {
  if (!late_.empty()) send_late();
  if (routes_.take_kept_news() && catalog_ != nullptr) coap_resource_notify_observers(catalog_, nullptr);
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!it->ready) {
      ++it;
      continue;
    }
    if (auto* async = coap_find_async(it->session, const_token(it->token))) coap_async_trigger(async);
    coap_session_release(it->session);
    it = waiting_.erase(it);
  }
}

int Responder::on_event(coap_session_t* session, coap_event_t event) {
  if (event != COAP_EVENT_SERVER_SESSION_DEL) return 0;
  auto* self = static_cast<Responder*>(coap_get_app_data(coap_session_get_context(session)));
  if (self == nullptr) return 0;
  self->observers_.forget(session);
  if (self->observers_.empty()) self->routes_.keep_none();
  return 0;
}

void Responder::on_get(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                       const coap_string_t* /*query*/, coap_pdu_t* response) {
  auto* self = static_cast<Responder*>(coap_resource_get_userdata(resource));
  self->host_.guarded([&] { self->get(session, request, response, resource == self->catalog_); });
}

void Responder::on_other(coap_resource_t* resource, coap_session_t* session, const coap_pdu_t* request,
                         const coap_string_t* /*query*/, coap_pdu_t* response) {
  auto* self = static_cast<Responder*>(coap_resource_get_userdata(resource));
  self->host_.guarded([&] { self->other(session, request, response); });
}

bool Responder::verified(coap_session_t* session, const Peer& peer, const Request& request,
                         Clock::time_point now) {
  const auto flags = reinterpret_cast<std::uintptr_t>(coap_session_get_app_data(session));
  if ((flags & kTrusted) != 0) return true;
  if (!settings_.trusted.contains(peer) && !echo_.valid(request.echo, peer, now)) return false;
  coap_session_set_app_data(session, reinterpret_cast<void*>(flags | kTrusted));
  return true;
}

void Responder::get(coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response, bool observable) {
  ++counters_.requests;
  const auto now = Clock::now();
  const auto peer = peer_of_session(session);
  if (!peer) {
    write_reply(Reply{.code = code_of(4, 0)}, std::nullopt, session, response);
    return;
  }
  if (!rate_.allow(*peer, now)) {
    ++counters_.rate_limited;
    write_reply(Reply{.code = code_of(4, 29), .max_age = 1}, std::nullopt, session, response);
    return;
  }
  const auto request = read_request(pdu, path_);
  const bool is_verified = verified(session, *peer, request, now);
  const auto problem = [&](const Problem& what) {
    answer_problem(what, request, session, response, is_verified);
  };
  if (request.problem != nullptr) return problem({code_of(4, 0), 0, request.problem});
  const auto target = path_.target();
  if (target.problem != nullptr) return problem({code_of(4, 0), 0, target.problem});
  if (target.resource == Resource::kNone) {
    if (hand_over(request, plugins::devices::Method::get, *peer, session, pdu, response, is_verified, now)) {
      return;
    }
    return problem({code_of(4, 4), 0, "no such resource"});
  }

  const auto block = request.block2.value_or(Block{});
  const Ask ask{.target = target,
                .key = path_.key(target),
                .peer = *peer,
                .offset = static_cast<std::uint64_t>(block.number) << (block.szx + 4),
                .mid = request.mid,
                .now = now};
  if (target.resource == Resource::kWellKnown) {
    return answer_entity(well_known_, ask, request, session, pdu, response, is_verified, false);
  }
  if (draining_ && ask.offset == 0) return problem(not_yet(std::chrono::seconds(5), "stopping"));

  bool observing = false;
  if (observable && request.observe == 1U) {
    observers_.remove(session, request.token);
    if (observers_.empty()) routes_.keep_none();
  } else if (observable && request.observe == 0U && ask.offset == 0) {
    // A subscription sends later what was not asked for then: only to peers who are known to want it.
    if (!is_verified) return challenge(request, *peer, session, response);
    if (!observers_.admit(session, request.token)) {
      return problem(not_yet(std::chrono::seconds(kMaxRetry), "too many observers"));
    }
    observing = true;
  }

  const auto found = routes_.find(ask);
  if (observing) {
    if (found.entity) {
      routes_.keep(ask.key);
    } else {
      observers_.remove(session, request.token);
    }
  }
  if (!found.entity) return problem(found.problem);
  answer_entity(found.entity, ask, request, session, pdu, response, is_verified, observing);
}

void Responder::answer_entity(const EntityPtr& entity, const Ask& ask, const Request& request,
                              coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response,
                              bool is_verified, bool observing) {
  const auto problem = [&](const Problem& what) {
    answer_problem(what, request, session, response, is_verified);
  };
  if (request.accept && *request.accept != entity->format) {
    return problem({code_of(4, 6), 0, "there is one format only"});
  }
  Reply reply{.code = entity->code, .etag = entity->etag};
  if (entity->moves) reply.max_age = 0;
  if (ask.offset == 0 && entity->code == kContent && request.has_etag(entity->etag)) {
    reply.code = code_of(2, 3);
    write_reply(reply, std::nullopt, session, response);
    return;
  }
  const auto total = entity->size();
  reply.format = entity->format;
  reply.block2 = Block{};
  reply.size2 = total;

  // Everything but the payload is known: the block size follows from what may be sent.
  const auto overhead = reply.overhead(request.token.size(), 1, observing);
  const auto asked = request.block2.value_or(Block{});
  auto max_szx = fitting_szx(coap_session_max_pdu_size(session), overhead, entity->max_szx);
  if (!max_szx) return problem({code_of(4, 0), 0, "the token leaves no room for a block"});
  auto slice = cut(asked, *max_szx, total.value_or(std::numeric_limits<std::uint64_t>::max()));
  if (!slice) return problem({code_of(4, 0), 0, "that block lies beyond the end"});
  const auto limit = kAmplification * request.bytes;
  if (!is_verified && overhead + slice->length > limit) {
    const auto small = fitting_szx(limit, overhead, *max_szx);
    if (settings_.echo == Settings::Echo::kChallenge || !small) {
      return challenge(request, ask.peer, session, response);
    }
    slice = cut(asked, *small, total.value_or(std::numeric_limits<std::uint64_t>::max()));
    if (!slice) return challenge(request, ask.peer, session, response);
  }

  // What was postponed has booked its bytes already.
  const coap_bin_const_t token{request.token.size(), request.token.data()};
  if (bandwidth_.limited() && entity != well_known_ && coap_find_async(session, token) == nullptr) {
    // coap-client hangs on a separate answer to block 0, so that one goes at once, on account.
    const std::uint64_t most = ask.offset == 0 ? std::numeric_limits<std::int64_t>::max() : kMostPostponedMs;
    const std::chrono::milliseconds wait(bandwidth_.reserve(slice->length, milliseconds_of(ask.now), most));
    if (ask.offset > 0 && wait.count() > 0) {
      if (wait.count() > kMostPostponedMs) return problem(not_yet(wait));
      if (postpone(wait, session, pdu)) return;
    }
  }

  const std::span<std::uint8_t> payload(buffer_.data(), slice->length);
  switch (entity->read(slice->offset, payload)) {
    case ReadState::kOk: break;
    case ReadState::kNotReady:
      // coap-client hangs on a separate answer to block 0, so that one never waits.
      if (ask.offset > 0 && wait_for(entity, *slice, request, session, pdu)) return;
      return problem(not_yet(estimate(*entity, slice->offset + slice->length)));
    case ReadState::kFailed:
      routes_.drop(ask, entity.get());
      return problem(problem_of(OTAGATE_REJECTED, {}));
    case ReadState::kUnreadable:  // reported by the entity
      routes_.drop(ask, entity.get());
      return problem(not_yet(std::chrono::seconds(kMinRetry), "cannot be read, try again"));
  }
  reply.block2 = slice->reply;
  reply.payload = payload;
  counters_.bytes += payload.size();
  if (slice->reply.more) last_transfer_ = ask.now;
  if (settings_.identify_by_address && settings_.trusted.contains(ask.peer)) track(*entity, ask, *slice);
  write_reply(reply, total, session, response);
}

// A device that knows no protocol of ours: what it fetches is its attempt's progress.
void Responder::track(const Entity& entity, const Ask& ask, const Slice& slice) {
  const auto* blob = dynamic_cast<const Blob*>(&entity);
  const auto size = blob == nullptr ? std::nullopt : blob->size();
  if (!size || blob->sha256().empty()) return;
  const auto address = to_string(ask.peer);
  const auto now_ms = milliseconds_of(ask.now);
  const auto download = tracker_.begin(
      {.sha256 = blob->sha256(), .size = *size, .address = address, .offset = slice.offset}, now_ms);
  plugins::DownloadTracker::sent(download, slice.offset + slice.length, now_ms);
}

void Responder::answer_problem(const Problem& problem, const Request& request, coap_session_t* session,
                               coap_pdu_t* response, bool is_verified) {
  Reply reply{.code = problem.code};
  if (problem.max_age != 0) reply.max_age = problem.max_age;
  if (problem.code == code_of(5, 3)) ++counters_.not_ready;
  const auto size = reply.overhead(request.token.size(), problem.text.size(), false) + problem.text.size();
  if (is_verified || size <= kAmplification * request.bytes) reply.payload = bytes_of(problem.text);
  write_reply(reply, std::nullopt, session, response);
}

void Responder::challenge(const Request& request, const Peer& peer, coap_session_t* session,
                          coap_pdu_t* response) {
  ++counters_.challenged;
  Reply reply{.code = code_of(4, 1), .echo = echo_.make(peer, Clock::now())};
  // A request too short to be worth an answer of this size gets a bare one.
  if (reply.overhead(request.token.size(), 0, false) > kAmplification * request.bytes) reply.echo.reset();
  write_reply(reply, std::nullopt, session, response);
}

bool Responder::wait_for(const EntityPtr& entity, const Slice& slice, const Request& request,
                         coap_session_t* session, const coap_pdu_t* pdu) {
  const auto* blob = dynamic_cast<const Blob*>(entity.get());
  if (blob == nullptr || draining_ || waiting_.size() >= kMaxWaiting) return false;
  const std::vector<std::uint8_t> token(request.token.begin(), request.token.end());
  // Found: this is the waiting request itself, its time is up.
  if (coap_find_async(session, const_token(token)) != nullptr) return false;
  // libcoap gives it back by itself a little after the host would have.
  const auto expiry = std::chrono::duration_cast<std::chrono::seconds>(settings_.wait_timeout).count() + 2;
  if (coap_register_async(session, pdu, static_cast<coap_tick_t>(expiry) * COAP_TICKS_PER_SECOND) ==
      nullptr) {
    return false;
  }
  waiting_.push_back(Waiter{.session = coap_session_reference(session), .token = token});
  gateway_.want(blob->reader(), slice.offset, slice.length, settings_.wait_timeout,
                [this, entity, blob, slice, session, token](const Outcome<std::uint64_t>& outcome) {
                  if (outcome) blob->grant(slice.offset, outcome.value);
                  const auto found = std::ranges::find_if(waiting_, [&](const Waiter& candidate) {
                    return candidate.session == session && candidate.token == token;
                  });
                  if (found != waiting_.end()) found->ready = true;
                });
  return true;
}

// libcoap acknowledges it, and asks again when its turn has come.
bool Responder::postpone(std::chrono::milliseconds wait, coap_session_t* session, const coap_pdu_t* pdu) {
  const auto ticks = static_cast<coap_tick_t>(wait.count()) * COAP_TICKS_PER_SECOND / 1000;
  return coap_register_async(session, pdu, std::max<coap_tick_t>(ticks, 1)) != nullptr;
}

std::chrono::milliseconds Responder::estimate(const Entity& entity, std::uint64_t end) const {
  // Without knowing the store's rate: half a second per 256 KiB that are missing.
  const auto* blob = dynamic_cast<const Blob*>(&entity);
  const auto ready = blob == nullptr ? end : blob->ready();
  const auto missing = end > ready ? end - ready : 0;
  return std::chrono::milliseconds(std::min<std::uint64_t>(500 + missing / 512, 60'000));
}

}  // namespace otagate::coap
