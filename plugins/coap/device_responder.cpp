// Responder: requests of device protocols.
#include <algorithm>

#include "problem.hpp"
#include "responder.hpp"

namespace otagate::coap {
namespace {

namespace devices = plugins::devices;

std::optional<devices::Method> method_of(const coap_pdu_t* pdu) {
  switch (coap_pdu_get_code(pdu)) {
    case COAP_REQUEST_CODE_POST: return devices::Method::post;
    case COAP_REQUEST_CODE_PUT: return devices::Method::put;
    case COAP_REQUEST_CODE_DELETE: return devices::Method::del;
    default: return std::nullopt;
  }
}

bool is_text(std::string_view text) { return text.find('\0') == std::string_view::npos && is_utf8(text); }

// "coap://10.0.0.1:5683": the address that the peer has reached.
std::string base_url_of(const coap_session_t* session) {
  const auto* address = coap_session_get_addr_local(session);
  const auto local = address == nullptr ? std::nullopt : peer_of(address->addr.sa);
  return local ? "coap://" + to_string(*local) : std::string();
}

std::optional<Peer> remote_of(const coap_session_t* session) {
  const auto* address = coap_session_get_addr_remote(session);
  return address == nullptr ? std::nullopt : peer_of(address->addr.sa);
}

}  // namespace

// POST, PUT, DELETE and the methods nobody has.
void Responder::other(coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response) {
  ++counters_.requests;
  const auto now = Clock::now();
  const auto method = method_of(pdu);
  const auto peer = remote_of(session);
  const auto not_allowed = [&] {
    write_reply(Reply{.code = code_of(4, 5)}, std::nullopt, session, response);
  };
  if (!method || !peer) return not_allowed();
  if (!rate_.allow(*peer, now)) {
    ++counters_.rate_limited;
    return write_reply(Reply{.code = code_of(4, 29), .max_age = 1}, std::nullopt, session, response);
  }
  const auto request = read_request(pdu, path_);
  const bool is_verified = verified(session, *peer, request, now);
  const auto problem = [&](const char* text) {
    answer_problem({code_of(4, 0), 0, text}, request, session, response, is_verified);
  };
  if (request.problem != nullptr) return problem(request.problem);
  const auto target = path_.target();
  if (target.resource != Resource::kNone) return not_allowed();
  if (target.problem != nullptr) return problem(target.problem);
  if (!hand_over(request, *method, *peer, session, pdu, response, is_verified, now)) not_allowed();
}

// False: no protocol has that path.
bool Responder::hand_over(const Request& request, devices::Method method, const Peer& peer,
                          coap_session_t* session, const coap_pdu_t* pdu, coap_pdu_t* response,
                          bool is_verified, Clock::time_point now) {
  const auto segments = path_.segments();
  std::vector<std::string> path(segments.begin(), segments.end());
  if (path.empty() || devices_.protocol_for(path) == nullptr) return false;
  // What a request changes must not be done for a forged address, so a stranger is always asked first.
  if (!is_verified) {
    challenge(request, peer, session, response);
    return true;
  }
  const auto problem = [&](const Problem& what) {
    answer_problem(what, request, session, response, is_verified);
    return true;
  };
  if (draining_) return problem(not_yet(std::chrono::seconds(5), "stopping"));
  Asked asked{.peer = peer,
              .mid = request.mid,
              .token = request.token,
              .method = method,
              .path = std::move(path),
              .query = {},
              .format = request.format,
              .accept = request.accept,
              .authorization = request.authorization,
              .block1 = request.block1,
              .block2 = request.block2,
              .payload = request.payload,
              .base_url = base_url_of(session),
              .now = now};
  std::string_view text;
  for (std::size_t i = 0; path_.query(i, text); ++i) {
    if (!is_text(text)) return problem({code_of(4, 0), 0, "a query holds bytes that are no UTF-8 text"});
    const auto equals = std::min(text.find('='), text.size());
    asked.query.emplace_back(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
  }
  const auto exchange = devices_.ask(std::move(asked));
  gateway_.run_pending();
  if (exchange->answer) {
    answer_device(*exchange, request.token.size(), session, response);
  } else if (!hold(exchange, request, session, pdu, response, now)) {
    problem(not_yet(std::chrono::seconds(5), "too many at once"));
  }
  return true;
}

// The answer comes later: with the acknowledgement, if it comes soon. A handler that leaves an answer without
// a code makes libcoap acknowledge at once, unless that answer is not confirmable's; libcoap then sends
// nothing, and the acknowledgement can be sent when there is something to say.
bool Responder::hold(const ExchangePtr& exchange, const Request& request, coap_session_t* session,
                     const coap_pdu_t* pdu, coap_pdu_t* response, Clock::time_point now) {
  const auto known =
      std::find_if(late_.begin(), late_.end(), [&](const Late& one) { return one.exchange == exchange; });
  if (known != late_.end()) {
    // The client has lost patience: it gets its acknowledgement, from libcoap.
    known->held = false;
    return true;
  }
  if (late_.size() >= kMaxLate) return false;
  const bool confirmable = coap_pdu_get_type(pdu) == COAP_MESSAGE_CON;
  late_.push_back(Late{.session = coap_session_reference(session),
                       .token = {request.token.begin(), request.token.end()},
                       .confirmable = confirmable,
                       .held = confirmable,
                       .hold_until = now + kHold,
                       .exchange = exchange});
  exchange->late = true;
  coap_pdu_set_type(response, COAP_MESSAGE_NON);
  return true;
}

Responder::Clock::time_point Responder::wake() const {
  const auto held = std::find_if(late_.begin(), late_.end(), [](const Late& one) { return one.held; });
  return held == late_.end() ? Clock::time_point::max() : held->hold_until;
}

void Responder::send_late() {
  const auto now = Clock::now();
  const bool news = devices_.take_news();
  if (!news && wake() > now) return;
  for (auto it = late_.begin(); it != late_.end();) {
    const bool answered = it->exchange->answer.has_value();
    if (!answered && !(it->held && it->hold_until <= now)) {
      ++it;
      continue;
    }
    const auto type = it->held ? COAP_MESSAGE_ACK : it->confirmable ? COAP_MESSAGE_CON : COAP_MESSAGE_NON;
    const auto mid = it->held ? it->exchange->mid : coap_new_message_id(it->session);
    auto* pdu =
        coap_pdu_init(type, COAP_EMPTY_CODE, mid, answered ? coap_session_max_pdu_size(it->session) : 0);
    if (pdu != nullptr && answered) {
      coap_add_token(pdu, it->token.size(), it->token.data());
      answer_device(*it->exchange, it->token.size(), it->session, pdu);
    }
    if (pdu != nullptr) coap_send(it->session, pdu);
    if (!answered) {
      it->held = false;
      ++it;
      continue;
    }
    coap_session_release(it->session);
    it = late_.erase(it);
  }
}

void Responder::answer_device(const Exchange& exchange, std::size_t token_size, coap_session_t* session,
                              coap_pdu_t* response) {
  const auto& answer = *exchange.answer;
  Reply reply{.code = answer.code, .max_age = answer.max_age, .command = answer.command};
  if (answer.code == code_of(5, 3)) ++counters_.not_ready;
  if (exchange.block1) {
    reply.block1 = Block{.number = exchange.block1->number,
                         .more = answer.code == code_of(2, 31),
                         .szx = exchange.block1->szx};
  }
  if (!answer.body) return write_reply(reply, std::nullopt, session, response);
  const auto& body = *answer.body;
  reply.format = answer.format;
  const auto room = coap_session_max_pdu_size(session);
  const auto most = block_bytes(std::min(exchange.asked.szx, settings_.max_szx));
  if (exchange.asked.number == 0 && body.size() <= most &&
      reply.overhead(token_size, 1, false) + body.size() <= room) {
    reply.payload = bytes_of(body);
    counters_.bytes += body.size();
    return write_reply(reply, std::nullopt, session, response);
  }
  reply.etag = etag_of(body);
  reply.block2 = Block{};
  reply.size2 = body.size();
  const auto szx = fitting_szx(room, reply.overhead(token_size, 1, false), settings_.max_szx);
  const auto slice = szx ? cut(exchange.asked, *szx, body.size()) : std::nullopt;
  if (!slice) {
    return write_reply(Reply{.code = code_of(4, 0), .payload = bytes_of("that block lies beyond the end")},
                       std::nullopt, session, response);
  }
  if (slice->reply.more && slice->offset == 0) devices_.keep(exchange);
  reply.block2 = slice->reply;
  reply.payload = bytes_of(std::string_view(body).substr(slice->offset, slice->length));
  counters_.bytes += slice->length;
  write_reply(reply, body.size(), session, response);
}

}  // namespace otagate::coap
