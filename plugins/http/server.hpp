// One HTTP transport instance: its listeners, its workers, and what the workers share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/bandwidth/bandwidth.hpp"
#include "common/device_protocols/old_digests.hpp"
#include "http/options.hpp"
#include "http/resource_route.hpp"
#include "http/source_table.hpp"
#include "http/tls.hpp"
#include "otagate/cpp/transport.hpp"

namespace otagate::http {

class Worker;

class Server final : public sdk::Transport {
 public:
  static constexpr bool kStreaming = true;

  // Throws sdk::Failure when the options or the TLS files are wrong.
  explicit Server(sdk::TransportHost& host);
  ~Server() override;

  void start() override;
  // Idle connections are closed at once, the others when their answer is out or the deadline passed.
  void stop(std::chrono::milliseconds deadline) override;
  // Reads the TLS files again. Bad ones change nothing: that is an event and the call fails.
  void reload() override;

  // ---- for the workers, any thread
  sdk::TransportHost& host() const { return host_; }
  const Options& options() const { return options_; }
  SourceTable& sources() { return sources_; }
  plugins::Bandwidth& bandwidth() { return bandwidth_; }
  const Router<Resource>& router() const { return router_; }
  const std::shared_ptr<plugins::devices::OldDigester>& digester() const { return digester_; }
  // False: max_connections are open; nothing was counted.
  bool add_connection();
  void remove_connection() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  std::size_t connections() const { return connections_.load(std::memory_order_relaxed); }
  // Tries the addresses that are taken once more. Called by the first worker, once a second.
  void retry_listeners();
  void worker_drained();

 private:
  struct Bound {
    Endpoint endpoint;
    int fd = -1;  // -1: not bound yet
  };

  // Opens what is not open, hands it to the workers and tells the host how that went.
  void bind_listeners();

  sdk::TransportHost& host_;
  const Options options_;
  SourceTable sources_;
  plugins::Bandwidth bandwidth_;
  Router<Resource> router_;
  // One for all threads; stopped before the host goes.
  const std::shared_ptr<plugins::devices::OldDigester> digester_ =
      std::make_shared<plugins::devices::OldDigester>();
  std::atomic<std::size_t> connections_{0};
  std::vector<Bound> listeners_;  // guarded by mutex_
  std::string last_health_;       // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable drained_;
  std::size_t undrained_ = 0;  // guarded by mutex_
};

}  // namespace otagate::http
