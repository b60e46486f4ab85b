// One store as the gateway's own threads use it: blocking calls over the plugin's asynchronous ones.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/source.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"
#include "gateway/circuit.hpp"
#include "plugin/storage.hpp"

namespace otagate::gateway {

// What a store has done since it was started; any thread.
struct Traffic {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> body_bytes{0};
  std::atomic<std::uint64_t> errors{0};
};

// Thread-safe; kept alive by whoever uses it (sources of fills outlive a removed store).
class StoreClient : public std::enable_shared_from_this<StoreClient> {
 public:
  StoreClient(std::string name, std::shared_ptr<plugin::StorageInstance> instance,
              std::chrono::milliseconds timeout)
      : name_(std::move(name)), instance_(std::move(instance)), timeout_(timeout) {}

  const std::string& name() const { return name_; }
  plugin::StorageInstance& instance() { return *instance_; }
  plugin::StoreCaps caps() const { return instance_->caps(); }
  Circuit& circuit() { return circuit_; }
  const Traffic& traffic() const { return traffic_; }

  // Whether the last listing worked; true before the first.
  void set_listed(bool good) { listed_.store(good, std::memory_order_relaxed); }
  // Whether it may be expected to answer now.
  bool reachable(std::int64_t now_steady_ms) const {
    return listed_.load(std::memory_order_relaxed) && circuit_.closed_for(now_steady_ms) == 0;
  }

  // Blocking; one attempt each, also when the circuit is open: a listing is its own probe.
  Result<plugin::ListPage> list(const std::string& cursor, std::uint32_t limit);
  Result<plugin::Object> stat(const std::string& key);
  // At most `limit` bytes from `offset`; where `whole`, an object that has more is an error.
  Result<std::string> read(const std::string& key, const std::string& change_token, std::uint64_t offset,
                           std::uint64_t limit, bool whole);

  // The bytes of one object version for a fill.
  std::shared_ptr<cache::Source> source(std::string key, std::string change_token,
                                        std::optional<std::uint64_t> size, bool ranges,
                                        std::vector<std::string> locators);

  // Presigned URL, asynchronously.
  void presign(const std::string& key, const std::string& change_token, bool head,
               std::chrono::milliseconds expiry, std::chrono::milliseconds timeout,
               plugin::Reply<std::string> reply);
  // Asynchronously, one attempt each, booked like every other call.
  // Makes an object. The descriptor stays open until the reply.
  void publish(plugin::PublishRequest request, plugin::Reply<plugin::Object> reply);
  void watch(const std::string& device, plugin::Pairs attributes, plugin::Reply<void> reply);
  void unwatch(const std::string& device, plugin::Reply<void> reply);
  void feedback(plugin::Feedback feedback, plugin::Reply<void> reply);

 private:
  friend class PluginSource;
  template <class T>
  plugin::Reply<T> booked(plugin::Reply<T> reply);
  // Books the outcome of a call in the circuit and the counters.
  void book(Code code, std::uint64_t retry_after_ms);

  std::string name_;
  std::shared_ptr<plugin::StorageInstance> instance_;
  std::chrono::milliseconds timeout_;
  Circuit circuit_;
  Traffic traffic_;
  std::atomic<bool> listed_{true};
};

}  // namespace otagate::gateway
