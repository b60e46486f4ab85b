// One address, one libcoap context, one thread.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "common/device_protocols/host_gateway.hpp"
#include "endpoint.hpp"
#include "host_gateway.hpp"
#include "inbox.hpp"
#include "otagate/cpp/transport_host.hpp"
#include "responder.hpp"
#include "settings.hpp"

namespace otagate::coap {

class Listener {
 public:
  using Clock = std::chrono::steady_clock;

  Listener(sdk::TransportHost& host, Settings settings);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Returns when the address is bound or known to be taken; then it is tried again every two seconds.
  void start();
  // New transfers are refused; those that run may go on until `deadline`, or until none has asked for
  // a block for three seconds. Then every reader is closed.
  void stop(std::chrono::milliseconds deadline);
  // Any thread.
  void catalog_changed();

 private:
  void run();
  bool bind();
  void wait_for_work(Clock::time_point until) const;
  void serve();
  void report();
  bool finished(Clock::time_point now) const;

  sdk::TransportHost& host_;
  const Settings settings_;
  Inbox inbox_;
  std::thread thread_;

  // The listener's thread, and start() before there is one.
  std::unique_ptr<HostGateway> gateway_;
  std::unique_ptr<plugins::devices::HostGateway> device_gateway_;
  std::unique_ptr<Responder> responder_;
  ContextPtr context_;
  bool bound_ = false;
  Clock::time_point next_bind_;
  bool stopping_ = false;
  Clock::time_point stop_by_;
  Counters reported_;
  std::size_t batch_ = 1;  // datagrams that the last round was prepared for
};

}  // namespace otagate::coap
