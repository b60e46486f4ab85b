#include "gateway/store_client.hpp"

#include <future>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/clock.hpp"

namespace otagate::gateway {

namespace {

constexpr std::uint64_t kLeastUpload = 64 * 1024;  // bytes per second that an uplink is given time for

// Waits for the one reply of a call. The promise is shared: the waiter may leave while set_value
// still returns.
template <class T, class Call>
Result<T> wait_for(Call call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  call([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future.get();
}

// Gathers the bytes of a small read, up to a bound.
class Collector final : public plugin::FetchSink {
 public:
  Collector(std::uint64_t limit, bool whole) : limit_(limit), whole_(whole) {}

  plugin::SinkAnswer begin(const plugin::FetchInfo& info) override {
    if (whole_ && info.total && *info.total > limit_) {
      too_large_ = true;
      return plugin::SinkAnswer::stop;
    }
    return plugin::SinkAnswer::go_on;
  }
  plugin::SinkAnswer bytes(std::span<const std::byte> data) override {
    const std::uint64_t room = limit_ - text_.size();
    if (data.size() > room) {
      if (whole_) {
        too_large_ = true;
        return plugin::SinkAnswer::stop;
      }
      data = data.first(room);
    }
    text_.append(reinterpret_cast<const char*>(data.data()), data.size());
    return !whole_ && text_.size() == limit_ ? plugin::SinkAnswer::stop : plugin::SinkAnswer::go_on;
  }

  bool too_large() const { return too_large_; }
  bool full() const { return text_.size() == limit_; }
  std::string take() { return std::move(text_); }

 private:
  const std::uint64_t limit_;
  const bool whole_;
  bool too_large_ = false;
  std::string text_;
};

// A failure of the way to the store, as against one of the one object.
bool is_transient(Code code) {
  switch (code) {
    case Code::transient:
    case Code::deadline:
    case Code::throttled:
    case Code::internal: return true;
    default: return false;
  }
}

// Some stores' calls come and go without an uplink's fault: cancelling is our own doing.
bool counts(Code code) { return code != Code::cancelled && code != Code::busy; }

}  // namespace

void StoreClient::book(Code code, std::uint64_t retry_after_ms) {
  traffic_.requests.fetch_add(1, std::memory_order_relaxed);
  if (!counts(code)) return;
  if (is_transient(code)) {
    traffic_.errors.fetch_add(1, std::memory_order_relaxed);
    circuit_.failed(steady_ms(), retry_after_ms);
  } else {
    if (code != Code::ok) traffic_.errors.fetch_add(1, std::memory_order_relaxed);
    circuit_.succeeded();
  }
}

Result<plugin::ListPage> StoreClient::list(const std::string& cursor, std::uint32_t limit) {
  auto page = wait_for<plugin::ListPage>([&](plugin::Reply<plugin::ListPage> reply) {
    instance_->list(cursor, limit, timeout_, std::move(reply));
  });
  book(page ? Code::ok : page.error().code(), page ? 0 : page.error().retry_after_ms());
  return page;
}

Result<plugin::Object> StoreClient::stat(const std::string& key) {
  auto object = wait_for<plugin::Object>(
      [&](plugin::Reply<plugin::Object> reply) { instance_->stat(key, timeout_, std::move(reply)); });
  book(object ? Code::ok : object.error().code(), object ? 0 : object.error().retry_after_ms());
  return object;
}

Result<std::string> StoreClient::read(const std::string& key, const std::string& change_token,
                                      std::uint64_t offset, std::uint64_t limit, bool whole) {
  auto collector = std::make_shared<Collector>(limit, whole);
  plugin::FetchRequest request;
  request.key = key;
  request.change_token = change_token;
  request.offset = offset;
  // One byte more than is taken tells whether there is more.
  request.length = caps().has(OTAGATE_STORE_RANGES) ? (whole ? limit + 1 : limit) : 0;
  auto done = wait_for<void>([&](plugin::Reply<void> reply) {
    instance_->fetch(std::move(request), timeout_, collector, std::move(reply));
  });
  book(done ? Code::ok : done.error().code(), done ? 0 : done.error().retry_after_ms());
  if (collector->too_large())
    return fail(Code::rejected,
                key + ": larger than the " + std::to_string(limit) + " bytes such a file may have");
  // Where the store has no ranges we stopped it ourselves once we had enough.
  if (!done && !(!whole && collector->full())) return fail(std::move(done).error());
  std::string text = collector->take();
  traffic_.body_bytes.fetch_add(text.size(), std::memory_order_relaxed);
  return text;
}

void StoreClient::presign(const std::string& key, const std::string& change_token, bool head,
                          std::chrono::milliseconds expiry, std::chrono::milliseconds timeout,
                          plugin::Reply<std::string> reply) {
  instance_->presign(key, change_token, head, expiry, timeout, std::move(reply));
}

template <class T>
plugin::Reply<T> StoreClient::booked(plugin::Reply<T> reply) {
  return [self = shared_from_this(), reply = std::move(reply)](Result<T> result) {
    self->book(result ? Code::ok : result.error().code(), result ? 0 : result.error().retry_after_ms());
    reply(std::move(result));
  };
}

void StoreClient::publish(plugin::PublishRequest request, plugin::Reply<plugin::Object> reply) {
  const auto timeout = timeout_ + std::chrono::seconds(request.size / kLeastUpload);
  instance_->publish(std::move(request), timeout, booked(std::move(reply)));
}

void StoreClient::watch(const std::string& device, plugin::Pairs attributes, plugin::Reply<void> reply) {
  instance_->watch(device, std::move(attributes), timeout_, booked(std::move(reply)));
}

void StoreClient::unwatch(const std::string& device, plugin::Reply<void> reply) {
  instance_->unwatch(device, timeout_, booked(std::move(reply)));
}

void StoreClient::feedback(plugin::Feedback feedback, plugin::Reply<void> reply) {
  instance_->feedback(std::move(feedback), timeout_, booked(std::move(reply)));
}

// Hands a plugin's bytes to the cache and its verdicts back.
class PluginSink final : public plugin::FetchSink {
 public:
  PluginSink(std::shared_ptr<cache::Sink> sink, Traffic& traffic)
      : sink_(std::move(sink)), traffic_(traffic) {}

  plugin::SinkAnswer begin(const plugin::FetchInfo& info) override {
    return answer(sink_->begin({info.total, info.change_token}));
  }
  plugin::SinkAnswer bytes(std::span<const std::byte> data) override {
    traffic_.body_bytes.fetch_add(data.size(), std::memory_order_relaxed);
    return answer(sink_->write(data));
  }

 private:
  static plugin::SinkAnswer answer(cache::SinkVerdict verdict) {
    return verdict == cache::SinkVerdict::go_on ? plugin::SinkAnswer::go_on : plugin::SinkAnswer::stop;
  }

  std::shared_ptr<cache::Sink> sink_;
  Traffic& traffic_;  // of the client, which the source keeps alive
};

// One object version of a store for the time of one fill. Where the object has several places, each
// failure of a place moves on to the next.
class PluginSource final : public cache::Source, public std::enable_shared_from_this<PluginSource> {
 public:
  PluginSource(std::shared_ptr<StoreClient> client, std::string key, std::string change_token,
               std::optional<std::uint64_t> size, bool ranges, std::vector<std::string> locators)
      : client_(std::move(client)),
        key_(std::move(key)),
        change_token_(std::move(change_token)),
        locators_(std::move(locators)) {
    const plugin::StoreCaps caps = client_->caps();
    caps_.size = size;
    caps_.ranges = ranges && caps.has(OTAGATE_STORE_RANGES);
    caps_.min_segment = caps.min_segment;
    caps_.parallel = caps.parallel;
  }

  Caps caps() const override { return caps_; }

  cache::FetchId fetch(std::uint64_t offset, std::uint64_t length, std::shared_ptr<cache::Sink> sink,
                       std::function<void(Result<void>)> done) override {
    plugin::FetchRequest request;
    request.key = key_;
    request.change_token = change_token_;
    request.offset = offset;
    request.length = length;
    {
      const std::scoped_lock lock(mutex_);
      if (place_ > 0 && place_ <= locators_.size()) request.locator = locators_[place_ - 1];
    }
    return client_->instance().fetch(
        std::move(request), client_->timeout_,
        std::make_shared<PluginSink>(std::move(sink), client_->traffic_),
        [self = shared_from_this(), done = std::move(done)](Result<void> result) {
          self->client_->book(result ? Code::ok : result.error().code(),
                              result ? 0 : result.error().retry_after_ms());
          done(self->move_on(std::move(result)));
        });
  }

  void cancel(cache::FetchId fetch) override { client_->instance().cancel(fetch); }

 private:
  // Gone or refused at this place: the next one may have it.
  Result<void> move_on(Result<void> result) {
    if (result || (result.error().code() != Code::not_found && result.error().code() != Code::denied))
      return result;
    const std::scoped_lock lock(mutex_);
    if (place_ >= locators_.size()) return result;
    ++place_;
    return fail(Code::transient, result.error().message() + "; trying the object's next place");
  }

  std::shared_ptr<StoreClient> client_;
  const std::string key_;
  const std::string change_token_;
  const std::vector<std::string> locators_;
  Caps caps_;
  std::mutex mutex_;
  std::size_t place_ = 0;  // 0: the object's own; under mutex_
};

std::shared_ptr<cache::Source> StoreClient::source(std::string key, std::string change_token,
                                                   std::optional<std::uint64_t> size, bool ranges,
                                                   std::vector<std::string> locators) {
  return std::make_shared<PluginSource>(shared_from_this(), std::move(key), std::move(change_token), size,
                                        ranges, std::move(locators));
}

}  // namespace otagate::gateway
