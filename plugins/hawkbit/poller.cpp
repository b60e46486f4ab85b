#include "hawkbit/poller.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace otagate::hawkbit {
namespace {

using std::chrono::milliseconds;
using Clock = PollSchedule::Clock;

// hawkBit keeps at most 1,000 reports of an action.
constexpr unsigned kMostReports = 200;
constexpr unsigned kMostDoublings = 10;

}  // namespace

Poller::Poller(const sdk::StoreHost& host, Server& server, Artifacts& artifacts, PollerOptions options)
    : host_(host),
      server_(server),
      artifacts_(artifacts),
      options_(std::move(options)),
      schedule_(options_.bounds, std::random_device{}()) {}

Poller::~Poller() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Server::Cancelled Poller::stopping() const {
  return [this] { return stop_.load(); };
}

void Poller::watch(std::string_view device, const sdk::Pairs& attributes) {
  const std::scoped_lock lock(mutex_);
  auto found = targets_.find(device);
  if (found == targets_.end()) {
    if (targets_.size() >= options_.targets) {
      throw sdk::Failure(OTAGATE_BUSY, "more than " + std::to_string(options_.targets) +
                                           " devices are watched; raise 'max_targets'");
    }
    found = targets_.emplace(std::string(device), Target()).first;
    found->second.number = ++last_number_;
    found->second.attributes = config_data(attributes);
    schedule_.add(found->first, Clock::now());
    start_threads();
  } else if (std::string now = config_data(attributes); now != found->second.attributes) {
    found->second.attributes = std::move(now);
    found->second.attributes_changed = true;
  }
  wake_.notify_all();
}

void Poller::unwatch(std::string_view device) {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  if (found == targets_.end()) return;
  if (found->second.polled) --polled_;
  if (found->second.failing) --failing_;
  schedule_.remove(found->first);
  targets_.erase(found);
}

void Poller::start_threads() {
  const std::size_t wanted = std::min(options_.threads, targets_.size());
  while (threads_.size() < wanted) threads_.emplace_back([this] { run(); });
}

void Poller::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::optional<std::string> device = schedule_.take(Clock::now());
    if (!device) {
      const std::optional<PollSchedule::Time> next = schedule_.next();
      if (next) {
        wake_.wait_until(lock, *next);
      } else {
        wake_.wait(lock);
      }
      continue;
    }
    Poll poll;
    poll.device = *device;
    poll.target = targets_.find(*device)->second;
    lock.unlock();
    host_.guarded([&] { exchange(poll); });
    host_.guarded([&] { settle(poll); });
    lock.lock();
  }
}

void Poller::settle(Poll& poll) {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = targets_.find(poll.device);
    const Clock::time_point now = Clock::now();
    // Unwatched, and maybe watched anew: then it is in line again.
    if (stop_ || found == targets_.end() || found->second.number != poll.target.number) return;
    Target& target = found->second;
    target.assigned = std::move(poll.target.assigned);
    target.content = poll.target.content;
    target.consent = poll.target.consent;
    target.download_only = poll.target.download_only;
    target.cancel = std::move(poll.target.cancel);
    if (poll.attributes_sent && target.attributes == poll.target.attributes)
      target.attributes_changed = false;
    if (!target.polled) ++polled_;
    target.polled = true;
    if (poll.refusal) {
      settle_refusal(poll, target, now);
    } else {
      if (target.failing) --failing_;
      target.failing = false;
      failures_ = 0;
      schedule_.done(poll.device, now, poll.interval);
    }
    wake_.notify_all();
  }
  report_health();
}

void Poller::settle_refusal(Poll& poll, Target& target, PollSchedule::Time now) {
  if (!target.failing) ++failing_;
  target.failing = true;
  latest_ = *poll.refusal;
  if (poll.refusal->of_server) {
    // The next target would fare no better.
    const PollSchedule::Time again = now + back_off(poll.refusal->retry_after_ms);
    schedule_.hold(again);
    schedule_.failed(poll.device, again);
  } else {
    schedule_.done(poll.device, now, poll.interval);
  }
}

Clock::duration Poller::back_off(std::uint64_t retry_after_ms) {
  const milliseconds doubled = options_.bounds.shortest * (1 << std::min(failures_, kMostDoublings));
  ++failures_;
  return std::max(milliseconds(retry_after_ms),
                  std::min({doubled, options_.bounds.usual, options_.bounds.longest}));
}

// Of the store as a whole: one target that is refused is an event, all of them are the store's own trouble.
void Poller::report_health() {
  std::uint32_t status = OTAGATE_OK;
  std::string message;
  {
    const std::scoped_lock lock(mutex_);
    const bool healthy = !in_trouble();
    if (healthy == healthy_ && healthy) return;
    healthy_ = healthy;
    if (!healthy) {
      status = latest_.status == OTAGATE_DENIED ? OTAGATE_DENIED : OTAGATE_BUSY;
      message = latest_.message;
    }
  }
  host_.health(status, message);
}

std::optional<common::Failure> Poller::trouble() const {
  const std::scoped_lock lock(mutex_);
  return in_trouble() ? std::optional(latest_) : std::nullopt;
}

bool Poller::in_trouble() const { return polled_ > 0 && (failures_ > 0 || failing_ == polled_); }

bool Poller::has_closed(const std::string& device, std::string_view action) const {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  return found == targets_.end() || found->second.closed == action;
}

std::string Poller::cancel_id(std::string_view device, std::string_view action) const {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  return found != targets_.end() && found->second.cancel.stop == action ? found->second.cancel.id : "";
}

bool Poller::progress_is_news(std::string_view device, std::string_view action, std::uint64_t percent) {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  if (found == targets_.end()) return true;
  Target& target = found->second;
  if (target.reported == action && (target.percent == percent || target.reports >= kMostReports))
    return false;
  if (target.reported != action) target.reports = 0;
  target.reported = action;
  target.percent = percent;
  ++target.reports;
  return true;
}

std::string Poller::device_of_cancel(std::string_view action) const {
  const std::scoped_lock lock(mutex_);
  const auto found = std::find_if(targets_.begin(), targets_.end(),
                                  [&](const auto& entry) { return entry.second.cancel.stop == action; });
  return found == targets_.end() ? std::string() : found->first;
}

void Poller::telling(std::string_view device, std::string_view action, std::uint32_t kind) {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  if (found == targets_.end()) return;
  Target& target = found->second;
  const bool ends =
      kind == OTAGATE_FEEDBACK_SUCCESS || kind == OTAGATE_FEEDBACK_FAILURE ||
      kind == OTAGATE_FEEDBACK_CANCELLED ||
      (kind == OTAGATE_FEEDBACK_DOWNLOADED && target.download_only && target.assigned.action == action);
  if (ends) target.closed = action;
}

void Poller::remember_now(const std::string& device, const std::function<void(Target&)>& change) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = targets_.find(device); found != targets_.end()) change(found->second);
}

void Poller::told(std::string_view device, std::string_view action, std::uint32_t kind, bool taken) {
  const std::scoped_lock lock(mutex_);
  const auto found = targets_.find(device);
  if (found == targets_.end()) return;
  Target& target = found->second;
  if (!taken) {
    if (target.closed == action) target.closed.clear();
    if (kind == OTAGATE_FEEDBACK_PROGRESS && target.reported == action) target.reported.clear();
    return;
  }
  // There may be something to do next, or (confirmed) the action itself.
  if (kind != OTAGATE_FEEDBACK_PROGRESS && kind != OTAGATE_FEEDBACK_DOWNLOADED) {
    schedule_.soon(found->first, Clock::now());
    wake_.notify_all();
  }
}

void Poller::hold(std::uint64_t retry_after_ms) {
  const std::scoped_lock lock(mutex_);
  schedule_.hold(Clock::now() + milliseconds(retry_after_ms));
}

}  // namespace otagate::hawkbit
