#include "common/device_protocols/host_gateway.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <unistd.h>

namespace otagate::plugins::devices {
namespace {

constexpr std::size_t kMaxReaders = 8;
constexpr std::size_t kMaxAllowed = 8192;
constexpr std::chrono::seconds kIdle{30};
constexpr std::uint64_t kAgainMs = 1000;

using Bytes = sdk::Outcome<std::string>;
using Clock = std::chrono::steady_clock;

Bytes not_now(std::string message) {
  Bytes out;
  out.status = OTAGATE_TRANSIENT;
  out.message = std::move(message);
  out.retry_after_ms = kAgainMs;
  return out;
}

// False where the file ends before or cannot be read.
bool read_all(int fd, std::uint64_t offset, std::string& out) {
  for (std::size_t at = 0; at < out.size();) {
    const ssize_t got = ::pread(fd, out.data() + at, out.size() - at, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

// Replies of the host hold on to it. All but post() is for the carrier's thread.
class HostGateway::Core : public std::enable_shared_from_this<HostGateway::Core> {
 public:
  Core(const sdk::TransportHost& host, Post post, std::shared_ptr<OldDigester> digester)
      : host_(host), digester_(std::move(digester)), post_(std::move(post)) {
    if (digester_) return;
    digester_ = std::make_shared<OldDigester>();
    own_digester_ = true;
  }

  void close() {
    if (!open_) return;
    open_ = false;
    {
      const std::lock_guard lock(mutex_);
      post_ = nullptr;
    }
    if (own_digester_) digester_->stop();
    host_.cancel(timer_);
    opening_.clear();
    readers_.clear();
  }

  void check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) {
    if (open_) host_.check_in(who, handed_over<sdk::Offer>(std::move(done)));
  }

  void progress(const sdk::Progress& report, std::function<void(sdk::Outcome<std::uint32_t>)> done) {
    if (open_) host_.progress(report, handed_over<std::uint32_t>(std::move(done)));
  }

  void read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset, std::uint32_t length,
            std::function<void(Bytes)> done) {
    if (!open_) return;
    forget_what_may_be_stale();
    const Key key{principal, firmware};
    if (const auto known = allowed_.find(key); known != allowed_.end()) {
      const auto reader = std::find_if(readers_.begin(), readers_.end(),
                                       [&](const Open& one) { return one.blob == known->second; });
      if (reader != readers_.end()) {
        readers_.splice(readers_.begin(), readers_, reader);
        return done(read_first(offset, length));
      }
    }
    auto& waiting = opening_[key];
    waiting.push_back({offset, length, std::move(done)});
    if (waiting.size() == 1) open(key);
  }

  void old_digests(std::uint64_t principal, std::uint64_t firmware,
                   std::function<void(sdk::Outcome<OldDigests>)> done) {
    if (!open_) return;
    open_blob(principal, firmware, [this, done = std::move(done)](sdk::Outcome<sdk::Reader> opened) {
      if (!opened) {
        sdk::Outcome<OldDigests> out;
        out.status = opened.status;
        out.message = std::move(opened.message);
        out.retry_after_ms = opened.retry_after_ms;
        return done(std::move(out));
      }
      digester_->get(std::move(opened.value), handed_over<OldDigests>(done));
    });
  }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // principal, firmware
  struct Open {
    std::string blob;
    sdk::Reader reader;
    Clock::time_point used;
  };
  struct Waiting {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::function<void(Bytes)> done;
  };

  // Any thread.
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (post_) post_(std::move(work));
  }

  // A callback for another thread that brings its outcome to the carrier's.
  template <class T, class Done>
  std::function<void(sdk::Outcome<T>)> handed_over(Done done) {
    return [self = shared_from_this(), done = std::move(done)](sdk::Outcome<T> outcome) {
      // Readers are move-only, what is posted must be copyable.
      auto shared = std::make_shared<sdk::Outcome<T>>(std::move(outcome));
      self->post([self, done, shared] {
        if (self->open_) done(std::move(*shared));
      });
    };
  }

  template <class Done>
  void open_blob(std::uint64_t principal, std::uint64_t firmware, Done done) {
    sdk::OpenRequest request;
    request.principal = principal;
    request.firmware = firmware;
    request.verified_only = true;
    host_.open(request, handed_over<sdk::Reader>(std::move(done)));
  }

  // What an id stands for, and who may see it, may have changed: each is asked again.
  void forget_what_may_be_stale() {
    const std::uint64_t seen = host_.catalog_version() + host_.epoch();  // both only grow
    if (seen == seen_) return;
    seen_ = seen;
    readers_.clear();
    allowed_.clear();
  }

  void open(Key key) {
    open_blob(key.first, key.second, [this, key](sdk::Outcome<sdk::Reader> opened) {
      const auto found = opening_.find(key);
      const auto waiting = std::move(found->second);
      opening_.erase(found);
      if (!opened) {
        for (const auto& one : waiting) {
          Bytes out;
          out.status = opened.status;
          out.message = opened.message;
          out.retry_after_ms = opened.retry_after_ms;
          one.done(std::move(out));
          if (!open_) return;
        }
        return;
      }
      const std::string blob = blob_of(opened.value);
      keep(key, blob, std::move(opened.value));
      for (const auto& one : waiting) {
        // One of them may have ended the reader, or the carrier.
        if (!open_) return;
        const bool there = !readers_.empty() && readers_.front().blob == blob;
        one.done(there ? read_first(one.offset, one.length) : not_now("the firmware is fetched again"));
      }
    });
  }

  // A verified blob has its digest.
  static std::string blob_of(const sdk::Reader& reader) {
    return reader.sha256().empty() ? "tag:" + reader.tag() : reader.sha256();
  }

  void keep(Key key, const std::string& blob, sdk::Reader reader) {
    readers_.remove_if([&](const Open& one) { return one.blob == blob; });
    readers_.push_front({blob, std::move(reader), Clock::now()});
    if (readers_.size() > kMaxReaders) readers_.pop_back();
    if (allowed_.size() >= kMaxAllowed) allowed_.clear();
    allowed_[key] = blob;
    sweep_later();
  }

  Bytes read_first(std::uint64_t offset, std::uint32_t length) {
    auto& first = readers_.front();
    first.used = Clock::now();
    const std::uint64_t total = first.reader.total();
    Bytes out;
    if (offset < total)
      out.value.resize(static_cast<std::size_t>(std::min<std::uint64_t>(length, total - offset)));
    if (!read_all(first.reader.fd(), offset, out.value)) {
      first.reader.report_bad("its file cannot be read, or is shorter than it should be");
      readers_.pop_front();
      return not_now("the firmware cannot be read from the cache: it is fetched again");
    }
    if (!first.reader.failed()) return out;
    readers_.pop_front();
    return not_now("the firmware failed verification: it is fetched again");
  }

  void sweep_later() {
    if (sweeping_) return;
    sweeping_ = true;
    timer_ = host_.timer(kIdle, handed_over<sdk::Nothing>(
                                    [this](const sdk::Outcome<sdk::Nothing>& due) { sweep(bool(due)); }));
  }

  // Without a timer there is nobody to close them later.
  void sweep(bool in_time) {
    sweeping_ = false;
    timer_ = 0;
    if (!in_time) return readers_.clear();
    const auto now = Clock::now();
    readers_.remove_if([&](const Open& one) { return now - one.used >= kIdle; });
    if (!readers_.empty()) return sweep_later();
    allowed_.clear();
  }

  const sdk::TransportHost& host_;
  std::shared_ptr<OldDigester> digester_;
  bool own_digester_ = false;
  bool open_ = true;
  std::uint64_t seen_ = 0;
  std::list<Open> readers_;             // one for a blob; used last in front
  std::map<Key, std::string> allowed_;  // who had what opened for him: a blob may have many ids
  std::map<Key, std::vector<Waiting>> opening_;
  bool sweeping_ = false;
  otagate_call timer_ = 0;

  std::mutex mutex_;
  Post post_;  // under mutex; empty once closed
};

HostGateway::HostGateway(const sdk::TransportHost& host, Post post, std::shared_ptr<OldDigester> digester)
    : core_(std::make_shared<Core>(host, std::move(post), std::move(digester))) {}

HostGateway::~HostGateway() { close(); }

void HostGateway::close() { core_->close(); }

void HostGateway::check_in(const sdk::CheckIn& who, std::function<void(sdk::Outcome<sdk::Offer>)> done) {
  core_->check_in(who, std::move(done));
}

void HostGateway::progress(const sdk::Progress& report,
                           std::function<void(sdk::Outcome<std::uint32_t>)> done) {
  core_->progress(report, std::move(done));
}

void HostGateway::read(std::uint64_t principal, std::uint64_t firmware, std::uint64_t offset,
                       std::uint32_t length, std::function<void(sdk::Outcome<std::string>)> done) {
  core_->read(principal, firmware, offset, length, std::move(done));
}

void HostGateway::old_digests(std::uint64_t principal, std::uint64_t firmware,
                              std::function<void(sdk::Outcome<OldDigests>)> done) {
  core_->old_digests(principal, firmware, std::move(done));
}

}  // namespace otagate::plugins::devices
