// Polls hawkBit for each device that the gateway watches, with a few threads however many they are.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "hawkbit/artifacts.hpp"
#include "hawkbit/documents.hpp"
#include "hawkbit/release.hpp"
#include "hawkbit/schedule.hpp"
#include "hawkbit/server.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::hawkbit {

struct PollerOptions {
  PollBounds bounds{};
  std::size_t threads = 4;  // polls at the same time; started when there are that many targets
  std::size_t targets = 10'000;
  Components components{};
};

// Any thread. The destructor ends polls that are under way and joins the threads.
class Poller {
 public:
  Poller(const sdk::StoreHost& host, Server& server, Artifacts& artifacts, PollerOptions options);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Again with other attributes: they are sent with the next poll. Throws OTAGATE_BUSY when there are too
  // many.
  void watch(std::string_view device, const sdk::Pairs& attributes);
  // No call of the host about that device begins after it returned, but one may be under way.
  void unwatch(std::string_view device);

  // Around a message to the server. The number of the cancel action that stops an action, "" where no poll
  // has seen one.
  std::string cancel_id(std::string_view device, std::string_view action) const;
  // Whether a report of progress says something that the server has not been told, and is not one too many.
  bool progress_is_news(std::string_view device, std::string_view action, std::uint64_t percent);
  // The device whose action the server is cancelling, "" where no poll has seen that.
  std::string device_of_cancel(std::string_view action) const;
  // Before a message: after one that ends the action it is not assigned once more by a poll that was under
  // way. And after it: whether the server took it.
  void telling(std::string_view device, std::string_view action, std::uint32_t kind);
  void told(std::string_view device, std::string_view action, std::uint32_t kind, bool taken);
  // The server asks for patience.
  void hold(std::uint64_t retry_after_ms);

  // The latest failure while the server cannot be reached, or refuses every target.
  std::optional<common::Failure> trouble() const;

 private:
  struct Target {
    std::uint64_t number = 0;  // another after unwatch() and watch()
    std::string attributes{};  // as they are sent
    bool attributes_changed = false;
    ActionLink assigned{};    // what the host was told last
    std::size_t content = 0;  // a hash of what that said
    bool consent = false;     // that was a wish to be agreed to
    std::string closed{};     // the action that has ended here
    bool download_only = false;
    Cancel cancel{};
    std::string reported{};  // the action of the following two
    std::uint64_t percent = 0;
    unsigned reports = 0;
    bool polled = false;
    bool failing = false;
  };
  // One poll on its way: a copy of the target, of which settle() takes over what the poll has learned.
  struct Poll {
    std::string device{};
    Target target{};
    std::optional<std::chrono::milliseconds> interval{};
    std::optional<Refusal> refusal{};
    bool attributes_sent = false;
  };

  // poller.cpp
  void run();
  void start_threads();  // under mutex_
  void settle(Poll& poll);
  void settle_refusal(Poll& poll, Target& target, PollSchedule::Time now);  // under mutex_
  void report_health();
  bool in_trouble() const;                                               // under mutex_
  PollSchedule::Clock::duration back_off(std::uint64_t retry_after_ms);  // under mutex_
  Server::Cancelled stopping() const;
  bool has_closed(const std::string& device, std::string_view action) const;

  // poll_exchange.cpp: one poll, without the lock. False: it ends with poll.refusal.
  bool exchange(Poll& poll);
  bool follow_cancel(Poll& poll, const ActionLink& link);
  bool follow_deployment(Poll& poll, const ActionLink& link, bool consent);
  bool refuse(Poll& poll, const ActionLink& link, bool consent, const std::string& why);
  void notice_withdrawal(Poll& poll, const Base& base);
  bool send_attributes(Poll& poll);
  bool keep(Poll& poll, Refusal refusal);
  // For what the host may answer before the poll has ended.
  void remember_now(const std::string& device, const std::function<void(Target&)>& change);

  const sdk::StoreHost& host_;
  Server& server_;
  Artifacts& artifacts_;
  const PollerOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // What follows: under mutex_.
  PollSchedule schedule_;
  std::map<std::string, Target, std::less<>> targets_;
  std::vector<std::thread> threads_;
  std::uint64_t last_number_ = 0;
  unsigned failures_ = 0;  // of the server, one after the other
  std::size_t failing_ = 0;
  std::size_t polled_ = 0;
  common::Failure latest_{};
  bool healthy_ = true;             // what the host was told last
  std::atomic<bool> stop_ = false;  // set under mutex_
};

}  // namespace otagate::hawkbit
