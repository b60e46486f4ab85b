// A gateway for tests of what transports share: the C ABI's table, with blobs in memory files, whose replies
// come on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "otagate/cpp/transport_host.hpp"

namespace otagate::testing {

class FakeTransportHost {
 public:
  FakeTransportHost() {
    board_.size = sizeof board_;
    transport_.size = sizeof transport_;
    transport_.board = [](void* self, otagate_instance) -> const otagate_board* {
      return &from(self).board_;
    };
    transport_.blob_open = [](void* self, otagate_instance, const otagate_open_request* request,
                              const otagate_reply* reply) { return from(self).open(*request, *reply); };
    transport_.blob_close = [](void* self, otagate_instance, otagate_reader reader) {
      from(self).close(reader);
    };
    transport_.blob_bad = [](void* self, otagate_instance, otagate_reader, otagate_str) {
      const std::lock_guard lock(from(self).mutex_);
      ++from(self).bad_;
    };
    transport_.check_in = [](void* self, otagate_instance, const otagate_check_in* in,
                             const otagate_reply* reply) { return from(self).check_in(*in, *reply); };
    transport_.progress = [](void* self, otagate_instance, const otagate_progress* in,
                             const otagate_reply* reply) { return from(self).progress(*in, *reply); };
    table_.size = sizeof table_;
    table_.abi_minor = OTAGATE_ABI_MINOR;
    table_.context = this;
    table_.timer = [](void* self, otagate_instance, std::uint64_t, const otagate_reply* reply) {
      const std::lock_guard lock(from(self).mutex_);
      if (!from(self).has_timers_) return otagate_call{0};
      from(self).timers_.push_back(*reply);
      return ++from(self).last_call_;
    };
    table_.interface = [](void* self, const char*) -> const void* { return &from(self).transport_; };
    thread_ = std::thread([this] { run(); });
  }
  ~FakeTransportHost() {
    stop();
    for (const auto& [id, blob] : blobs_) ::close(blob.fd);
  }
  // Whatever is still open is answered; the TransportHost over this may go only afterwards.
  void stop() {
    if (!thread_.joinable()) return;
    fire_timers(OTAGATE_CANCELLED);
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      paused_ = false;
    }
    wake_.notify_all();
    thread_.join();
  }
  FakeTransportHost(const FakeTransportHost&) = delete;
  FakeTransportHost& operator=(const FakeTransportHost&) = delete;

  const otagate_host* table() const { return &table_; }

  // `digest`: its own, unless said.
  void add_blob(std::uint64_t firmware, const std::string& bytes, std::uint64_t pretend_size = 0,
                const std::string& digest = {}) {
    const std::lock_guard lock(mutex_);
    auto& blob = blobs_[firmware];
    blob.fd = memfd_create("blob", MFD_CLOEXEC);
    if (::write(blob.fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
    blob.page = std::make_unique<otagate_blob_page>();
    *blob.page = {};
    blob.page->size = sizeof *blob.page;
    blob.page->state = OTAGATE_BLOB_VERIFIED;
    blob.page->total = pretend_size == 0 ? bytes.size() : pretend_size;
    blob.page->ready = blob.page->total;
    blob.sha256 = digest.empty() ? "digest-of-" + std::to_string(firmware) : digest;
  }
  void fail_blob(std::uint64_t firmware) {
    __atomic_store_n(&blobs_.at(firmware).page->state, OTAGATE_BLOB_FAILED, __ATOMIC_RELEASE);
  }
  void truncate_blob(std::uint64_t firmware) {
    if (::ftruncate(blobs_.at(firmware).fd, 0) != 0) std::abort();
  }
  void deny(std::uint64_t principal) {
    const std::lock_guard lock(mutex_);
    denied_.insert(principal);
  }
  void change_catalog() { __atomic_add_fetch(&board_.catalog, 1, __ATOMIC_RELEASE); }
  // Replies wait meanwhile.
  void pause(bool paused) {
    {
      const std::lock_guard lock(mutex_);
      paused_ = paused;
    }
    wake_.notify_all();
  }
  void without_timers() { has_timers_ = false; }
  std::size_t fire_timers(std::uint32_t status = OTAGATE_OK) {
    std::vector<otagate_reply> due;
    {
      const std::lock_guard lock(mutex_);
      due.swap(timers_);
    }
    for (const auto& reply : due) complete(reply, status, nullptr, {});
    return due.size();
  }

  int opened() const { return locked(opened_); }
  int open_now() const { return locked(open_now_); }
  int bad() const { return locked(bad_); }
  // Waits until as many readers are open.
  bool wait_for_open(int wanted) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::seconds(20), [&] { return open_now_ == wanted; });
  }

  // What check_in and progress were given, by name.
  std::vector<std::string> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  struct Blob {
    int fd = -1;
    std::unique_ptr<otagate_blob_page> page;
    std::string sha256;
  };

  static FakeTransportHost& from(void* self) { return *static_cast<FakeTransportHost*>(self); }
  int locked(const int& number) const {
    const std::lock_guard lock(mutex_);
    return number;
  }

  static void complete(const otagate_reply& reply, std::uint32_t status, const void* result,
                       std::string_view message) {
    auto completion = sdk::make_struct<otagate_completion>();
    completion.status = status;
    completion.result = result;
    completion.message = sdk::str(message);
    reply.fn(reply.context, &completion);
  }

  otagate_call later(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    wake_.notify_all();
    return ++last_call_;
  }

  otagate_call open(const otagate_open_request& request, const otagate_reply& reply) {
    const auto firmware = request.firmware;
    const auto principal = request.principal;
    const bool verified = (request.flags & OTAGATE_OPEN_VERIFIED) != 0;
    return later([this, firmware, principal, verified, reply] {
      std::unique_lock lock(mutex_);
      const auto found = blobs_.find(firmware);
      if (found == blobs_.end() || denied_.contains(principal) || !verified) {
        lock.unlock();
        return complete(reply, OTAGATE_NOT_FOUND, nullptr, "no such firmware");
      }
      ++opened_;
      ++open_now_;
      wake_.notify_all();
      auto out = sdk::make_struct<otagate_blob>();
      out.fd = found->second.fd;
      out.reader = static_cast<otagate_reader>(opened_);
      out.page = found->second.page.get();
      out.sha256 = sdk::str(found->second.sha256);
      out.blob_size = found->second.page->total;
      lock.unlock();
      complete(reply, OTAGATE_OK, &out, {});
    });
  }

  void close(otagate_reader) {
    const std::lock_guard lock(mutex_);
    --open_now_;
    wake_.notify_all();
  }

  otagate_call check_in(const otagate_check_in& in, const otagate_reply& reply) {
    std::string text = "check-in " + std::string(sdk::view(in.device));
    return later([this, text = std::move(text), reply] {
      note(text);
      auto out = sdk::make_struct<otagate_offer>();
      out.next_after_ms = 1234;
      complete(reply, OTAGATE_OK, &out, {});
    });
  }

  otagate_call progress(const otagate_progress& in, const otagate_reply& reply) {
    std::string text = "progress " + std::string(sdk::view(in.device)) + " " + std::to_string(in.attempt);
    return later([this, text = std::move(text), reply] {
      note(text);
      auto out = sdk::make_struct<otagate_answer>();
      out.answer = OTAGATE_STOP;
      complete(reply, OTAGATE_OK, &out, {});
    });
  }

  void note(const std::string& text) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(text);
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return (stopping_ && queue_.empty()) || (!paused_ && !queue_.empty()); });
      if (queue_.empty()) return;
      auto work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
  }

  otagate_host table_{};
  otagate_transport_host transport_{};
  otagate_board board_{};
  bool has_timers_ = true;  // set before use
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // All under mutex.
  std::deque<std::function<void()>> queue_;
  std::map<std::uint64_t, Blob> blobs_;
  std::set<std::uint64_t> denied_;
  std::vector<otagate_reply> timers_;
  std::vector<std::string> heard_;
  otagate_call last_call_ = 0;
  int opened_ = 0;
  int open_now_ = 0;
  int bad_ = 0;
  bool stopping_ = false;
  bool paused_ = false;
};

}  // namespace otagate::testing
