// Transports in C++: derive from Transport, override start() and stop(), end with OTAGATE_PLUGIN.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "otagate/cpp/plugin.hpp"
#include "otagate/cpp/transport_host.hpp"
#include "otagate/transport.h"

namespace otagate::sdk {

// A transport. start(), stop() and reload() come on threads of the gateway's pool, may block, and end
// when they return or with the Failure they throw; nudge(), revoke() and catalog_changed() return at
// once. One at a time unless the plugin said thread_safe; replies and timers come at any time.
class Transport {
 public:
  using Kind = Transport;
  using HostType = TransportHost;
  static constexpr std::string_view kInterface = OTAGATE_TRANSPORT_1;
  // A class that serves blobs while they are still being filled says so:
  //   static constexpr bool kStreaming = true;
  static constexpr bool kStreaming = false;

  virtual ~Transport() = default;

  // Starts listening or looking for devices. A listener that cannot bind says so with
  // host.health(OTAGATE_BUSY, why), returns and retries by itself.
  virtual void start() = 0;
  // Takes nothing new, ends what runs within the deadline, closes every reader, then returns.
  virtual void stop(std::chrono::milliseconds deadline) = 0;
  // Certificates and keys may have changed: read them again.
  virtual void reload() {}
  // A new offer waits for that device: make it check in soon.
  virtual void nudge(std::string_view /*device*/) {}
  // The attempt is over for the gateway: stop moving its bytes, report no further progress.
  virtual void revoke(std::uint64_t /*attempt*/, std::uint32_t /*reason, OTAGATE_REVOKED_* */) {}
  virtual void catalog_changed() {}

  // For Entry, not for plugins.
  void bind(TransportHost& host, void* owner) {
    host_ = &host;
    owner_ = owner;
  }
  void* owner() const { return owner_; }
  template <class Class>
  static const void* table();

 private:
  template <class F>
  static void run(void* self, otagate_call call, F work) noexcept {
    auto* transport = static_cast<Transport*>(self);
    const otagate_host& host = transport->host_->table();
    auto out = make_struct<otagate_completion>();
    const std::uint32_t status =
        detail::caught([&] { work(*transport); },
                       [&](std::uint32_t why, std::string_view message, std::uint64_t retry_after_ms) {
                         out.status = why;
                         out.retry_after_ms = retry_after_ms;
                         out.message = str(message);
                         if (host.complete) host.complete(host.context, call, &out);
                       });
    if (status == OTAGATE_OK && host.complete) host.complete(host.context, call, &out);
  }
  template <class F>
  static void tell(void* self, F work) noexcept {
    auto* transport = static_cast<Transport*>(self);
    transport->host_->guarded([&] { work(*transport); });
  }

  TransportHost* host_ = nullptr;
  void* owner_ = nullptr;
};

template <class Class>
const void* Transport::table() {
  static const otagate_transport functions = [] {
    auto out = make_struct<otagate_transport>();
    out.flags = Class::kStreaming ? OTAGATE_TRANSPORT_STREAMING : 0u;
    out.start = [](void* self, otagate_call call) {
      run(self, call, [](Transport& transport) { transport.start(); });
    };
    out.stop = [](void* self, otagate_call call, std::uint64_t deadline_ms) {
      run(self, call, [&](Transport& transport) { transport.stop(std::chrono::milliseconds(deadline_ms)); });
    };
    out.reload = [](void* self, otagate_call call) {
      run(self, call, [](Transport& transport) { transport.reload(); });
    };
    out.nudge = [](void* self, otagate_str device) {
      tell(self, [&](Transport& transport) { transport.nudge(view(device)); });
    };
    out.revoke = [](void* self, std::uint64_t attempt, std::uint32_t reason) {
      tell(self, [&](Transport& transport) { transport.revoke(attempt, reason); });
    };
    out.catalog_changed = [](void* self) {
      tell(self, [](Transport& transport) { transport.catalog_changed(); });
    };
    return out;
  }();
  return &functions;
}

}  // namespace otagate::sdk
