#include "listener.hpp"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>

namespace otagate::coap {
namespace {

constexpr std::chrono::seconds kBindAgain{2};
constexpr std::chrono::seconds kTick{1};
// A transfer that has asked for nothing for so long is not worth waiting for.
constexpr std::chrono::seconds kTransferPause{3};
// Datagrams taken in one round, at most, and rounds before the thread looks at anything else.
constexpr std::size_t kBatch = 64;
constexpr int kRounds = 4;
constexpr int kPollEvents = 8;

}  // namespace

Listener::Listener(sdk::TransportHost& host, Settings settings)
    : host_(host), settings_(std::move(settings)) {}

Listener::~Listener() {
  if (thread_.joinable()) stop(std::chrono::milliseconds(0));
}

void Listener::start() {
  if (thread_.joinable()) return;
  stopping_ = false;
  std::string why;
  context_ = make_context(settings_.max_sessions,
                          std::chrono::ceil<std::chrono::seconds>(settings_.session_timeout), why);
  if (!context_) throw sdk::Failure(OTAGATE_INTERNAL, why);
  gateway_ = std::make_unique<HostGateway>(host_, inbox_, settings_.prereleases);
  device_gateway_ = std::make_unique<plugins::devices::HostGateway>(
      host_, [this](std::function<void()> work) { inbox_.post(std::move(work)); });
  responder_ = std::make_unique<Responder>(settings_, *gateway_, *device_gateway_,
                                           plugins::devices::make_protocols(settings_.protocols), host_);
  responder_->attach(context_.get());
  bound_ = bind();
  thread_ = std::thread([this] { run(); });
}

void Listener::stop(std::chrono::milliseconds deadline) {
  if (!thread_.joinable()) return;
  const auto by = Clock::now() + deadline;
  inbox_.post([this, by] {
    stopping_ = true;
    stop_by_ = by;
    responder_->drain();
  });
  thread_.join();
}

void Listener::catalog_changed() {
  inbox_.post([this] {
    if (responder_) responder_->catalog_changed();
  });
}

bool Listener::bind() {
  std::string bound;
  std::string why;
  if (!open_endpoint(context_.get(), settings_.listen, settings_.receive_buffer, bound, why)) {
    host_.health(OTAGATE_BUSY, "waiting for the address " + why);
    next_bind_ = Clock::now() + kBindAgain;
    return false;
  }
  host_.health(OTAGATE_OK, "listening on " + bound);
  host_.info("listening on coap://" + bound);
  return true;
}

void Listener::run() {
  auto next_tick = Clock::now() + kTick;
  for (;;) {
    const auto now = Clock::now();
    if (stopping_ && finished(now)) break;
    if (!bound_ && !stopping_ && now >= next_bind_) bound_ = bind();
    if (now >= next_tick) {
      responder_->routes().sweep(now);
      responder_->devices().sweep(now);
      report();
      next_tick = now + kTick;
    }
    // Nothing to let go of and nothing to report: sleep until there is work.
    const bool ticks = stopping_ || responder_->routes().busy() || responder_->devices().busy() ||
                       responder_->counters().requests != reported_.requests;
    auto wake = std::min(ticks ? next_tick : Clock::time_point::max(), responder_->wake());
    if (!bound_) wake = std::min(wake, next_bind_);
    wait_for_work(wake);
    inbox_.run();
    serve();
  }
  device_gateway_->close();
  responder_->release();
  context_.reset();
  report();
  responder_.reset();
  device_gateway_.reset();
  gateway_.reset();
  bound_ = false;
}

void Listener::wait_for_work(Clock::time_point until) const {
  int timeout = -1;
  if (until != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  std::array<pollfd, 2> ready{
      {{.fd = coap_context_get_coap_fd(context_.get()), .events = POLLIN, .revents = 0},
       {.fd = inbox_.fd(), .events = POLLIN, .revents = 0}}};
  poll(ready.data(), ready.size(), timeout);
}

// coap_io_process() takes one datagram per call, sets a timer twice and walks all sessions twice around
// it: more work than the datagram. Its parts are public, so here one round of them takes a batch. The
// endpoint's event is repeated in the list: each makes libcoap read once, and a read too many finds the
// socket empty. Batches grow while they come back full.
void Listener::serve() {
  std::array<epoll_event, kBatch> events;
  for (int round = 0; round < kRounds; ++round) {
    responder_->after_events();
    const int ready = epoll_wait(coap_context_get_coap_fd(context_.get()), events.data(), kPollEvents, 0);
    if (ready <= 0 && round > 0) break;
    auto count = static_cast<std::size_t>(std::max(ready, 0));
    const auto end = events.begin() + static_cast<std::ptrdiff_t>(count);
    const auto socket =
        std::find_if(events.begin(), end, [](const epoll_event& event) { return event.data.ptr != nullptr; });
    const bool readable = socket != end;
    if (readable) {
      const auto repeated = *socket;
      while (count < batch_) events[count++] = repeated;
    }
    const auto before = responder_->counters().requests;
    coap_io_do_epoll(context_.get(), events.data(), count);
    const auto served = responder_->counters().requests - before;
    if (!readable) break;
    batch_ = served >= batch_ ? std::min(kBatch, 2 * batch_) : std::max<std::size_t>(1, served + 1);
  }
  responder_->after_events();
}

bool Listener::finished(Clock::time_point now) const {
  return now >= stop_by_ || now - responder_->last_transfer() >= kTransferPause;
}

void Listener::report() {
  const auto counters = responder_->counters();
  const auto add = [&](std::string_view name, std::uint64_t Counters::*member) {
    if (const auto more = counters.*member - reported_.*member; more > 0) {
      host_.count(name, static_cast<double>(more));
    }
  };
  add("requests", &Counters::requests);
  add("bytes", &Counters::bytes);
  add("not_ready", &Counters::not_ready);
  add("challenged", &Counters::challenged);
  add("rate_limited", &Counters::rate_limited);
  reported_ = counters;
}

}  // namespace otagate::coap
