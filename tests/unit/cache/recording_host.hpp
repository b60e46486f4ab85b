// What the cache asks of its host: it notes what it is told, and verifies when it is told to.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bytes.hpp"
#include "cache/cache.hpp"

namespace otagate::cache {

using namespace std::chrono_literals;

class RecordingHost : public Journal, public EventSink, public EvictionGate {
 public:
  void fill_started(const FillKey&, std::string_view id, std::uint64_t) override {
    note("started " + std::string(id));
  }
  void fill_ended(const FillKey&, std::string_view, Code code, std::string_view) override {
    note("ended " + std::string(to_string(code)));
  }
  void blob_added(const BlobRecord& blob, const std::optional<FillKey>&, Done done) override {
    if (on_added) on_added();
    {
      const std::scoped_lock lock(mutex_);
      records_[blob.digest] = blob;
    }
    note("added " + blob.digest.hex().substr(0, 8));
    done(answer());
  }
  void blob_removed(const Digest& digest, std::string_view, Done done) override {
    note("removed " + digest.hex().substr(0, 8));
    Result<void> result = answer();
    if (on_removed) on_removed(digest);
    if (result) {
      const std::scoped_lock lock(mutex_);
      records_.erase(digest);
    }
    done(std::move(result));
  }
  void blob_verified(const BlobRecord& blob) override {
    const std::scoped_lock lock(mutex_);
    records_[blob.digest] = blob;
  }
  void blob_quarantined(const Digest& digest, std::string_view) override {
    const std::scoped_lock lock(mutex_);
    records_.erase(digest);
  }
  void blobs_used(std::span<const BlobRecord> blobs) override {
    const std::scoped_lock lock(mutex_);
    for (const BlobRecord& blob : blobs)
      if (records_.contains(blob.digest)) records_[blob.digest] = blob;
  }
  void event(const Event& event) override {
    const std::scoped_lock lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  bool may_expire(const Digest&) override { return store_listed; }

  std::vector<BlobRecord> records() const {
    const std::scoped_lock lock(mutex_);
    std::vector<BlobRecord> all;
    for (const auto& [digest, record] : records_) all.push_back(record);
    return all;
  }
  std::vector<std::string> notes() const {
    const std::scoped_lock lock(mutex_);
    return notes_;
  }
  std::size_t count(Event::Kind kind) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(events_, [kind](const Event& event) { return event.kind == kind; }));
  }
  bool wait_for(Event::Kind kind, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] {
      return static_cast<std::size_t>(std::ranges::count_if(
                 events_, [kind](const Event& event) { return event.kind == kind; })) >= times;
    });
  }
  std::optional<Event> last(Event::Kind kind) const {
    const std::scoped_lock lock(mutex_);
    for (auto at = events_.rbegin(); at != events_.rend(); ++at)
      if (at->kind == kind) return *at;
    return std::nullopt;
  }

  std::atomic<bool> store_listed{true};
  std::atomic<bool> broken{false};
  std::function<void()> on_added;                 // before use
  std::function<void(const Digest&)> on_removed;  // before use

 private:
  Result<void> answer() const {
    if (broken) return fail(Code::no_space, "database or disk is full");
    return {};
  }
  void note(std::string text) {
    const std::scoped_lock lock(mutex_);
    notes_.push_back(std::move(text));
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Digest, BlobRecord> records_;
  std::vector<std::string> notes_;
  std::vector<Event> events_;
};

// Holds every verification up until told to go on.
class GateVerifier : public Verifier {
 public:
  Result<VerifyLevel> verify(const FillKey&, const Digest&, VerifyLevel reached,
                             const BlobView& bytes) override {
    entered.set_value();
    go_on.get_future().wait();
    Bytes all(static_cast<std::size_t>(bytes.size()));
    const auto got = bytes.read_at(0, all);
    if (got) all.resize(*got);
    seen = std::move(all);
    if (refuse) return fail(Code::rejected, "the signature is wrong");
    return std::max(reached, VerifyLevel::signature);
  }
  std::promise<void> entered;
  std::promise<void> go_on;
  bool refuse = false;
  Bytes seen;
};

}  // namespace otagate::cache
