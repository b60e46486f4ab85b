// Tells others what happens: posts events of the log to a URL, signed, in order, at least once.
//
// What was delivered is remembered as the sequence of the last event, so nothing is copied and nothing piles
// up: whoever was not reachable for longer than the log keeps its events misses the oldest of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "config/config.hpp"
#include "gateway/events.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// The header's value: "t=<ms since 1970>,v1=<HMAC-SHA-256 of "<t>.<body>" in hex>". Whoever receives it
// compares that, and refuses what is much older than his clock.
std::string webhook_signature(std::string_view secret, std::int64_t wall_ms, std::string_view body);

// One URL, served by one thread, so that a slow one holds up no other.
class Webhook {
 public:
  Webhook(config::Webhook config, std::string gateway, state::Database& db, EventLog& events);
  ~Webhook();  // gives up what is on its way
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  const config::Webhook& config() const { return config_; }

 private:
  enum class Outcome { delivered, again, gone };

  void run();
  bool stopping() const;
  bool wait_for_events(std::int64_t after);
  bool pause(std::chrono::milliseconds time);
  std::int64_t start_after();
  bool wanted(const state::Event& event) const;
  // False: stopped, or the receiver wants no more.
  bool deliver(const state::Event& event);
  Outcome post(const state::Event& event, std::string& why, std::chrono::milliseconds& retry_after);
  void remember(std::int64_t sequence);

  const config::Webhook config_;
  const std::string gateway_;
  state::Database& db_;
  EventLog& events_;
  std::uint64_t follower_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::int64_t newest_ = 0;  // under mutex_
  bool stopping_ = false;    // under mutex_
  std::thread thread_;
};

// Those of the configuration. One thread at a time.
class Webhooks {
 public:
  Webhooks(state::Database& db, EventLog& events) : db_(db), events_(events) {}

  // Starts new ones, ends those that are gone or changed.
  void configure(const std::vector<config::Webhook>& webhooks, const std::string& gateway);
  void stop() { running_.clear(); }

 private:
  state::Database& db_;
  EventLog& events_;
  std::vector<std::unique_ptr<Webhook>> running_;
};

}  // namespace otagate::gateway
