#include "http/connection.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include "http/server.hpp"

namespace otagate::http {
namespace {

constexpr unsigned kPipelined = 32;  // requests served in one go before others get their turn
constexpr std::uint64_t kLingerMs = 2000;
constexpr std::uint64_t kPaceWindowMs = 30000;
constexpr std::uint64_t kReaderIdleMs = 5000;
constexpr std::size_t kKeptCapacity = 1024;
// Nothing is held for longer for a peer who has closed his side.
constexpr std::uint64_t kLeftMs = 2000;

std::string address_text(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (peer.ss_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &peer, sizeof in6);
    inet_ntop(AF_INET6, &in6.sin6_addr, text.data(), text.size());
  } else {
    sockaddr_in in{};
    std::memcpy(&in, &peer, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
  }
  return text.data();
}

}  // namespace

void Connection::open(int fd, const sockaddr_storage& peer, const Source& source, SSL_CTX* tls) {
  source_ = source;
  peer_ = address_text(peer);
  const Options& options = worker_.server().options();
  const auto from =
      options.identify_by_address ? plugins::peer_of(reinterpret_cast<const sockaddr&>(peer)) : std::nullopt;
  by_address_ = from && options.trusted.contains(*from);
  since_ms_ = worker_.loop().now_ms();
  interest_ = EPOLLIN;
  state_ = tls == nullptr ? State::kReading : State::kHandshake;
  if (!stream_.open(fd, tls) || !worker_.loop().add(fd, EPOLLIN, this)) close();
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  const otagate_call call = call_;
  call_ = 0;
  ++serial_;
  throttled_ = false;
  state_ = State::kClosed;
  stream_.close();
  reader_.close();
  entry_.reset();
  kept_ = std::string();
  held_head_ = std::string();
  head_ = {};
  searched_ = 0;
  body_.reset();
  forget_body();
  authorization_.clear();
  principal_ = 0;
  who_.reset();
  track_.reset();
  tracked_ = false;
  pieces_ = std::vector<Piece>();
  piece_ = 0;
  text_sent_ = 0;
  worker_.server().sources().disconnected(source_);
  if (call != 0) worker_.server().host().cancel(call);
  worker_.released(*this);
}

void Connection::set_state(State state, std::uint32_t epoll_events) {
  state_ = state;
  if (interest_ == epoll_events) return;
  interest_ = epoll_events;
  worker_.loop().modify(stream_.fd(), epoll_events, this);
}

void Connection::on_ready(std::uint32_t epoll_events) {
  switch (state_) {
    case State::kClosed: return;
    case State::kHandshake: {
      const ssize_t result = stream_.handshake();
      if (result == Stream::kBlocked) return set_state(State::kHandshake, stream_.events());
      if (result <= 0) return close();
      set_state(State::kReading, EPOLLIN);
      return read_input();
    }
    case State::kReading:
    case State::kBody: return read_input();
    case State::kSending:
      // Nothing was asked for while it waits for bandwidth, so the connection is broken.
      if (throttled_ && (epoll_events & (EPOLLERR | EPOLLHUP)) != 0) return close();
      return pump();
    case State::kHandling:
      if ((epoll_events & (EPOLLERR | EPOLLHUP)) != 0) return close();
      // He sends no more: he has gone, or has only closed his half. The latter gets an answer that comes
      // soon.
      left_ms_ = worker_.loop().now_ms();
      return set_state(State::kHandling, 0);
    case State::kAsking:
    case State::kStarved:
      // Nothing was asked for, so the connection is broken.
      if ((epoll_events & (EPOLLERR | EPOLLHUP)) != 0) close();
      return;
    case State::kLingering:
      // Thrown away until the peer has closed or the time is up.
      const ssize_t count = stream_.read(worker_.in_buffer(), worker_.server().options().header_limit);
      if (count == Stream::kEnd || count == Stream::kFailed) close();
      return;
  }
}

void Connection::read_input() {
  const std::size_t limit = worker_.server().options().header_limit;
  char* const buffer = worker_.in_buffer();
  do {
    const std::size_t have = kept_.size();
    if (have == limit) return;  // full of requests that wait for their turn
    const ssize_t count = stream_.read(buffer + have, limit - have);
    if (count == Stream::kBlocked) return set_state(state_, stream_.events());
    if (count <= 0) return close();
    if (have != 0) {
      std::memcpy(buffer, kept_.data(), have);
    } else {
      since_ms_ = worker_.loop().now_ms();
    }
    consume({buffer, have + static_cast<std::size_t>(count)});
  } while (takes_input() && stream_.has_buffered());
}

// Serves the requests in `bytes`, which lie in the worker's buffer, and keeps what is left of them.
void Connection::consume(std::string_view bytes) {
  consuming_ = true;
  unsigned served = 0;
  while (takes_input()) {
    if (state_ == State::kBody) {
      if (!take_body(bytes)) break;
      continue;
    }
    while (searched_ == 0 && (bytes.starts_with('\r') || bytes.starts_with('\n'))) bytes.remove_prefix(1);
    const std::size_t size = find_head(bytes, searched_);
    if (size == 0) {
      if (bytes.size() < worker_.server().options().header_limit) break;
      keep_alive_ = false;
      const bool line = bytes.find('\n') != std::string_view::npos;
      refuse(line ? Problem{431, "the header is larger than header_limit", 0}
                  : Problem{414, "the request line is larger than header_limit", 0});
      break;
    }
    if (served == kPipelined) {
      searched_ = 0;
      worker_.loop().post([this, serial = serial_] {
        if (serial == serial_ && state_ == State::kReading) resume_input();
      });
      break;
    }
    ++served;
    searched_ = 0;
    const std::string_view head = bytes.substr(0, size);
    bytes.remove_prefix(size);
    begin(head);
  }
  consuming_ = false;
  if (state_ == State::kClosed || state_ == State::kLingering) return;
  if (bytes.empty() && kept_.capacity() > kKeptCapacity) {
    kept_ = std::string();
  } else {
    kept_.assign(bytes);
  }
}

// Goes on with what was kept and then with what comes.
void Connection::resume_input() {
  set_state(State::kReading, EPOLLIN);
  take_kept();
}

void Connection::take_kept() {
  if (!kept_.empty()) {
    char* const buffer = worker_.in_buffer();
    std::memcpy(buffer, kept_.data(), kept_.size());
    const std::string_view bytes(buffer, kept_.size());
    searched_ = 0;
    consume(bytes);
  }
  if (takes_input() && stream_.has_buffered()) read_input();
}

void Connection::begin(std::string_view head) {
  Request request;
  auto problem = parse_request(head, request);
  if (!problem) problem = body_problem(request, false, worker_.server().options().body_limit);
  head_ = head;
  began_ms_ = worker_.loop().now_ms();
  rounds_ = 0;
  redirect_tried_ = false;
  user_retried_ = false;
  http_1_1_ = request.http_1_1 || problem.has_value();
  head_only_ = request.method == Method::kHead;
  unread_body_ = request.has_body;
  keep_alive_ = request.keep_alive && !problem && !worker_.draining();
  ++worker_.counts.requests;
  protocol_ = nullptr;
  if (problem) return refuse(*problem);
  if (!worker_.server().sources().take_request(source_, began_ms_)) {
    return refuse(Problem{429, "more requests a second than requests_per_second allows", 1});
  }
  if (may_change(request.method)) protocol_ = worker_.protocol_for(request.target);
  // A body that is of use is read once it is known who sends it.
  if (request.has_body && protocol_ == nullptr) {
    if (!expect_body(request)) close();
    return;
  }
  serve(request);
}

// The request is served once its body has come, so that the connection can be used again. What no protocol
// takes is thrown away. False: the connection is of no more use.
bool Connection::expect_body(const Request& request) {
  if (request.expect_continue && request.http_1_1) {
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    // Nothing else is on its way to a peer that waits for this, so a socket that does not take it is broken.
    if (stream_.write(kContinue, false) != static_cast<ssize_t>(kContinue.size())) return false;
  }
  if (head_.data() != held_head_.data()) {
    held_head_.assign(head_);
    head_ = held_head_;
  }
  body_ = std::make_unique<BodyReader>(head_, worker_.server().options().body_limit,
                                       protocol_ != nullptr ? BodyReader::Keep::kYes : BodyReader::Keep::kNo);
  moved_ms_ = worker_.loop().now_ms();
  window_ms_ = moved_ms_;
  window_bytes_ = 0;
  set_state(State::kBody, EPOLLIN);
  return true;
}

// False: more has to come, or the request was refused.
bool Connection::take_body(std::string_view& bytes) {
  const std::size_t count = body_->feed(bytes);
  bytes.remove_prefix(count);
  if (count > 0) {
    moved_ms_ = worker_.loop().now_ms();
    window_bytes_ += count;
  }
  std::optional<Problem> problem = body_->problem();
  if (protocol_ != nullptr && count > 0 && !problem) {
    if (worker_.hold_body(count)) {
      body_held_ += count;
    } else {
      problem = Problem{503, "too many requests with bodies at once", 1};
    }
  }
  if (!problem && !body_->done()) {
    if (bytes.size() < worker_.server().options().header_limit) return false;
    problem = Problem{400, "the head of a chunk or the trailer is larger than header_limit", 0};
  }
  if (!problem && protocol_ != nullptr) request_body_ = body_->take_text();
  body_.reset();
  if (problem) {
    keep_alive_ = false;
    refuse(*problem);
    return false;
  }
  unread_body_ = false;
  state_ = State::kReading;
  again();
  return true;
}

void Connection::forget_body() {
  if (body_held_ != 0) worker_.drop_body(body_held_);
  body_held_ = 0;
  request_body_ = std::string();
}

// The host has replied: the same request once more.
void Connection::again() {
  Request request;
  if (parse_request(head_, request)) return close();  // cannot be: it was parsed before
  serve(request);
}

void Connection::linger() {
  // Unread input would make close() a reset, and the peer would lose the answer.
  stream_.shutdown_write();
  since_ms_ = worker_.loop().now_ms();
  pieces_.clear();
  reader_.close();
  set_state(State::kLingering, EPOLLIN);
}

void Connection::drain() {
  keep_alive_ = false;
  if (state_ == State::kHandshake || state_ == State::kReading) return close();
  if (state_ == State::kHandling) abandon(Problem{503, "the gateway stops; ask again", 5});
}

void Connection::tick() {
  const Options& options = worker_.server().options();
  const std::uint64_t now = worker_.loop().now_ms();
  const std::uint64_t age = now - std::min(now, since_ms_);
  switch (state_) {
    case State::kClosed: return;
    case State::kHandshake:
      if (age >= options.header_timeout_ms) close();
      return;
    case State::kReading:
      if (!kept_.empty()) {
        if (age < options.header_timeout_ms) return;
        keep_alive_ = false;
        head_only_ = false;
        return refuse(Problem{408, "the request did not come within header_timeout", 0});
      }
      if (age >= options.idle_timeout_ms) return close();
      // An open reader keeps its blob from being evicted.
      if (age >= kReaderIdleMs) reader_.close();
      return;
    case State::kBody:
      if (check_pace()) return;
      keep_alive_ = false;
      body_.reset();
      return refuse(Problem{408, "the request's body comes too slowly", 0});
    case State::kAsking:
    case State::kStarved:
      if (options.total_timeout_ms != 0 && now - began_ms_ >= options.total_timeout_ms) cut_short();
      return;
    case State::kHandling:
      if (left_ms_ != 0 && now - left_ms_ >= kLeftMs) return close();
      if (options.total_timeout_ms != 0 && now - began_ms_ >= options.total_timeout_ms) {
        keep_alive_ = false;
        abandon(Problem{503, "there was no answer within total_timeout", 1});
      }
      return;
    case State::kSending:
      if (throttled_) {
        throttled_ = false;
        moved_ms_ = window_ms_ = now;
        window_bytes_ = 0;
        if (options.total_timeout_ms != 0 && now - began_ms_ >= options.total_timeout_ms) return cut_short();
        return pump();
      }
      if (!check_pace()) cut_short();
      return;
    case State::kLingering:
      if (age >= kLingerMs) close();
      return;
  }
}

// False: the peer takes its answer, or sends its body, too slowly. It would hold a reader and a blob, or a
// connection, for nothing.
bool Connection::check_pace() {
  const Options& options = worker_.server().options();
  const std::uint64_t now = worker_.loop().now_ms();
  if (options.total_timeout_ms != 0 && now - began_ms_ >= options.total_timeout_ms) return false;
  if (now - moved_ms_ >= options.idle_timeout_ms) return false;
  const std::uint64_t window = now - window_ms_;
  if (window < kPaceWindowMs) return true;
  if (window_bytes_ < options.min_rate * window / 1000) return false;
  window_ms_ = now;
  window_bytes_ = 0;
  return true;
}

}  // namespace otagate::http
