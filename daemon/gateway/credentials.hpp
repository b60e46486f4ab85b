// Who asks, and what he may see: the [[credential]] tables and the tokens of devices, looked up by a hash of
// the secret.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "core/digest.hpp"
#include "core/error.hpp"

namespace otagate::gateway {

// What a principal may see. Empty lists mean "all".
struct Principal {
  std::uint64_t id = 0;  // 0: anonymous
  std::string name;      // of the credential: for logs and events
  std::string device;    // bound to this device, or empty
  std::string type;      // bound to this device type, or empty
  std::vector<std::string> stores;
  std::vector<std::string> types;  // device types it may see; holds its own
  bool gateway = false;            // may check in for other devices

  bool may_see(std::string_view firmware_type, std::string_view store) const;
};

enum class Scheme { none, bearer, basic };

// Thread-safe: lookups read an immutable snapshot.
class Credentials {
 public:
  // Replaces those of the configuration and makes every principal handed out before invalid.
  void replace(const std::vector<config::Credential>& credentials);
  // The same for the tokens of devices.
  struct DeviceToken {
    Digest fingerprint;  // token_fingerprint() of the token
    std::string device;
    std::string type;
  };
  void replace_tokens(std::vector<DeviceToken> tokens);
  static Digest token_fingerprint(std::string_view token);

  // Code::denied without saying which part was wrong. The secret is compared by its SHA-256, so the
  // time taken tells nothing about it.
  Result<Principal> check(Scheme scheme, std::string_view user, std::string_view secret) const;

  // Whether a credential or a token stands for this device alone.
  bool binds(const std::string& device) const;
  // The principal of an id; anonymous for 0; nullptr when the id is of an earlier configuration.
  std::shared_ptr<const Principal> find(std::uint64_t id) const;

  // Grows with each replace().
  std::uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }

 private:
  struct Snapshot;
  std::shared_ptr<const Snapshot> snapshot() const;
  void publish();

  std::mutex mutex_;
  std::vector<config::Credential> configured_;  // under mutex_
  std::vector<DeviceToken> tokens_;             // under mutex_

  std::atomic<std::uint64_t> epoch_{1};
  std::shared_ptr<const Snapshot> snapshot_;  // through std::atomic_load/atomic_store
};

}  // namespace otagate::gateway
