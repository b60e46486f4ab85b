#include "gateway/relay_queue.hpp"

#include <algorithm>

namespace otagate::gateway {

void RelayQueue::queue(const std::string& id, Device& device) {
  if (device.open || device.queued || !device.behind) return;
  device.queued = true;
  watch_ready_.push_back(id);
}

void RelayQueue::queue(const std::string& id, Subject& subject) {
  if (subject.open || subject.queued || subject.rows.empty()) return;
  subject.queued = true;
  feedback_ready_.push_back(id);
}

bool RelayQueue::watch(const std::string& device, plugin::Pairs attributes) {
  auto found = devices_.find(device);
  if (found == devices_.end()) {
    if (devices_.size() >= kMaxWatched) return false;
    found = devices_.try_emplace(device).first;
  }
  Device& known = found->second;
  if (known.wanted && known.attributes == attributes) return true;
  known.wanted = true;
  known.behind = true;
  known.attributes = std::move(attributes);
  queue(device, known);
  return true;
}

void RelayQueue::unwatch(const std::string& device) {
  const auto found = devices_.find(device);
  if (found == devices_.end() || !found->second.wanted) return;
  found->second.wanted = false;
  found->second.behind = true;
  queue(device, found->second);
}

void RelayQueue::add(state::OutboxRow row, int replaces) {
  Subject& subject = subjects_[row.subject];
  if (subject.rows.contains(row.id)) return;
  for (auto it = subject.rows.begin(); it != subject.rows.end();) {
    const bool on_its_way = subject.open && it == subject.rows.begin();
    const bool older = it->first < row.id && (it->second.kind == replaces || it->second.kind == row.kind);
    if (!on_its_way && older) {
      it = subject.rows.erase(it);
      --rows_;
    } else {
      ++it;
    }
  }
  const std::string id = row.subject;
  subject.rows.emplace(row.id, std::move(row));
  ++rows_;
  queue(id, subject);
}

std::optional<RelayQueue::Job> RelayQueue::next(Milliseconds now) {
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    const auto [kind, id] = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    if (kind == Kind::watch) {
      --watch_waiting_;
      if (const auto found = devices_.find(id); found != devices_.end()) {
        found->second.queued = false;
        queue(id, found->second);
      }
    } else if (const auto found = subjects_.find(id); found != subjects_.end()) {
      found->second.queued = false;
      queue(id, found->second);
    }
  }
  if (!feedback_ready_.empty()) {
    const std::string id = std::move(feedback_ready_.front());
    feedback_ready_.pop_front();
    Subject& subject = subjects_.at(id);
    subject.queued = false;
    subject.open = true;
    return subject.rows.begin()->second;
  }
  if (!watch_ready_.empty()) {
    const std::string id = std::move(watch_ready_.front());
    watch_ready_.pop_front();
    Device& device = devices_.at(id);
    device.queued = false;
    device.open = true;
    device.behind = false;  // unless it changes meanwhile
    if (device.wanted) return Watch{id, device.attributes};
    return Unwatch{id};
  }
  return std::nullopt;
}

RelayQueue::Milliseconds RelayQueue::back_off(Milliseconds& last, Milliseconds retry_after) const {
  last = last == Milliseconds(0) ? retry_.initial : std::min<Milliseconds>(last * 2, retry_.max);
  return std::max(last, std::min<Milliseconds>(retry_after, retry_.max));
}

void RelayQueue::ended(const Job& job, Outcome outcome, Milliseconds now, Milliseconds retry_after) {
  if (const auto* row = std::get_if<state::OutboxRow>(&job)) {
    const auto found = subjects_.find(row->subject);
    if (found == subjects_.end()) return;
    Subject& subject = found->second;
    subject.open = false;
    if (outcome == Outcome::again) {
      subject.queued = true;
      waiting_.emplace(now + back_off(subject.back_off, retry_after),
                       std::pair(Kind::feedback, row->subject));
      return;
    }
    subject.back_off = Milliseconds(0);
    rows_ -= subject.rows.erase(row->id);
    if (subject.rows.empty())
      subjects_.erase(found);
    else
      queue(row->subject, subject);
    return;
  }
  const auto* watch = std::get_if<Watch>(&job);
  const std::string& id = watch != nullptr ? watch->device : std::get<Unwatch>(job).device;
  const auto found = devices_.find(id);
  if (found == devices_.end()) return;
  Device& device = found->second;
  device.open = false;
  if (outcome == Outcome::again) {
    device.behind = true;
    device.queued = true;
    ++watch_waiting_;
    waiting_.emplace(now + back_off(device.back_off, retry_after), std::pair(Kind::watch, id));
    return;
  }
  device.back_off = Milliseconds(0);
  const bool told = watch != nullptr && outcome == Outcome::done;
  if (device.told) --told_;
  if (told) ++told_;
  device.told = told;
  if (device.behind)
    queue(id, device);
  else if (!device.wanted)
    devices_.erase(found);
}

std::optional<RelayQueue::Milliseconds> RelayQueue::due() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

}  // namespace otagate::gateway
