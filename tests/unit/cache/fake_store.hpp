// A store in memory of which every byte is counted, and that fails as it is told to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bytes.hpp"
#include "cache/cache.hpp"

namespace otagate::cache {

using namespace std::chrono_literals;

// A store with one object. Each fetch runs in a thread of its own, as a plugin's would.
class FakeStore {
 public:
  struct Request {
    std::uint64_t offset;
    std::uint64_t length;
    std::uint64_t sent;
    bool overlapped = false;  // asked for while another one was still running
  };

  explicit FakeStore(Bytes content) : content_(std::move(content)) {}
  ~FakeStore() {
    open_gate();
    for (std::thread& thread : take_threads()) thread.join();
  }

  // Before use.
  bool size_known = true;
  bool ranges = true;
  std::uint32_t parallel = 2;
  std::string token = "v1";
  std::size_t piece = 16 * 1024;
  std::uint64_t bytes_per_second = 0;          // of all fetches together; 0: no limit
  std::chrono::milliseconds latency{0};        // before the first byte
  std::function<void(std::uint64_t)> on_sent;  // total so far, before the sink gets the piece

  // Any time. Bytes from `position` on are held back until the gate opens.
  void close_gate_at(std::uint64_t position) {
    const std::scoped_lock lock(mutex_);
    gate_ = position;
    changed_.notify_all();
  }
  void open_gate() { close_gate_at(kUnknownSize); }
  void set_content(Bytes content, std::string new_token) {
    const std::scoped_lock lock(mutex_);
    content_ = std::move(content);
    token = std::move(new_token);
  }
  void flip(std::size_t at) {
    const std::scoped_lock lock(mutex_);
    content_[at] ^= std::byte{1};
  }
  // The next `times` fetches fail after `after` bytes.
  void fail_next(int times, std::uint64_t after, Error error) {
    const std::scoped_lock lock(mutex_);
    failures_ = times;
    fail_after_ = after;
    failure_ = std::move(error);
  }
  std::vector<Request> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  std::uint64_t sent() const {
    std::uint64_t total = 0;
    for (const Request& request : requests()) total += request.sent;
    return total;
  }
  // True once that many fetches have been asked for.
  bool wait_for_requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return requests_.size() >= count; });
  }

  Source::Caps caps() const {
    return {size_known ? std::optional<std::uint64_t>(content_.size()) : std::nullopt, ranges, 0, parallel};
  }

  FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                std::function<void(Result<void>)> done) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back({offset, length, 0, running_ > 0});
    ++running_;
    changed_.notify_all();
    const std::size_t number = requests_.size() - 1;
    threads_.emplace_back(
        [this, number, offset, length, sink, done] { done(run(number, offset, length, *sink)); });
    return number + 1;
  }
  void cancel(FetchId id) {
    const std::scoped_lock lock(mutex_);
    cancelled_.insert({id, true});
    changed_.notify_all();
  }

 private:
  std::vector<std::thread> take_threads() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(threads_, {});
  }

  Result<void> run(std::size_t number, std::uint64_t offset, std::uint64_t length, Sink& sink) {
    if (latency.count() > 0) std::this_thread::sleep_for(latency);
    ObjectInfo info;
    std::uint64_t end = 0;
    std::uint64_t fail_at = kUnknownSize;
    Error error(Code::ok, "");
    {
      const std::scoped_lock lock(mutex_);
      if (size_known) info.total_size = content_.size();
      info.change_token = token;
      end = length == 0 ? content_.size() : offset + length;
      if (failures_ > 0) {
        --failures_;
        fail_at = offset + fail_after_;
        error = failure_;
      }
    }
    if (sink.begin(info) == SinkVerdict::stop) return fail(Code::cancelled, "stopped by the sink");
    for (std::uint64_t at = offset; at < end;) {
      Bytes bytes;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return at < gate_ || cancelled_.contains(number + 1); });
        if (cancelled_.contains(number + 1)) return fail(Code::cancelled, "cancelled");
        if (at >= fail_at) return fail(error);
        const std::uint64_t stop =
            std::min({end, gate_, fail_at, at + piece, std::uint64_t{content_.size()}});
        if (stop <= at) return {};
        bytes.assign(content_.begin() + static_cast<std::ptrdiff_t>(at),
                     content_.begin() + static_cast<std::ptrdiff_t>(stop));
        requests_[number].sent += bytes.size();
        sent_ += bytes.size();
        if (on_sent) on_sent(sent_);
        if (bytes_per_second != 0) {
          const auto now = std::chrono::steady_clock::now();
          free_at_ = std::max(free_at_, now) +
                     std::chrono::nanoseconds(bytes.size() * 1'000'000'000 / bytes_per_second);
        }
      }
      if (bytes_per_second != 0) {
        std::unique_lock lock(mutex_);
        const auto until = free_at_;
        changed_.wait_until(lock, until, [&] { return cancelled_.contains(number + 1); });
      }
      if (sink.write(bytes) == SinkVerdict::stop) return fail(Code::cancelled, "stopped by the sink");
      at += bytes.size();
    }
    if (fail_at <= end) return fail(error);
    return {};
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Bytes content_;
  std::uint64_t gate_ = kUnknownSize;
  std::vector<Request> requests_;
  std::map<FetchId, bool> cancelled_;
  std::vector<std::thread> threads_;
  std::uint64_t sent_ = 0;
  int running_ = 0;
  std::chrono::steady_clock::time_point free_at_{};
  int failures_ = 0;
  std::uint64_t fail_after_ = 0;
  Error failure_{Code::ok, ""};
};

class FakeSource : public Source {
 public:
  explicit FakeSource(FakeStore& store) : store_(store) {}
  Caps caps() const override { return store_.caps(); }
  FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<Sink> sink,
                std::function<void(Result<void>)> done) override {
    return store_.fetch(offset, length, std::move(sink), std::move(done));
  }
  void cancel(FetchId id) override { store_.cancel(id); }

 private:
  FakeStore& store_;
};

// Requested ranges do not overlap and cover [0, size) exactly.
inline void expect_each_byte_once(const FakeStore& store, std::uint64_t size) {
  auto requests = store.requests();
  std::ranges::sort(requests, {}, &FakeStore::Request::offset);
  std::uint64_t at = 0;
  for (const auto& request : requests) {
    EXPECT_EQ(request.offset, at) << "asked for twice, or not at all";
    at = request.offset + request.length;
  }
  EXPECT_EQ(at, size);
}

}  // namespace otagate::cache
