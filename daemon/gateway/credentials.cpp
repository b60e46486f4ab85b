#include "gateway/credentials.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/digest.hpp"

namespace otagate::gateway {

namespace {

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& item) { return item == "*" || item == wanted; });
}

// One key for token and basic: the NUL cannot occur in a user name.
Digest fingerprint(Scheme scheme, std::string_view user, std::string_view secret) {
  Sha256 hash;
  hash.update(scheme == Scheme::basic ? "basic" : "bearer");
  hash.update(std::string_view("\0", 1));
  hash.update(user);
  hash.update(std::string_view("\0", 1));
  hash.update(secret);
  return hash.finish();
}

}  // namespace

bool Principal::may_see(std::string_view firmware_type, std::string_view store) const {
  if (!stores.empty() && !contains(stores, store)) return false;
  // Firmware without a type is for everybody who may see its store.
  return types.empty() || firmware_type.empty() || contains(types, firmware_type);
}

struct Credentials::Snapshot {
  std::uint64_t epoch = 1;
  std::unordered_map<Digest, std::shared_ptr<const Principal>> by_secret;
  std::vector<std::shared_ptr<const Principal>> by_index;  // id = epoch << 20 | index + 1
  std::unordered_set<std::string> devices;                 // that a principal is bound to
  std::shared_ptr<const Principal> anonymous = std::make_shared<Principal>();
};

namespace {
constexpr std::uint64_t kIndexBits = 20;
}

void Credentials::replace(const std::vector<config::Credential>& credentials) {
  const std::scoped_lock lock(mutex_);
  configured_ = credentials;
  publish();
}

void Credentials::replace_tokens(std::vector<DeviceToken> tokens) {
  const std::scoped_lock lock(mutex_);
  tokens_ = std::move(tokens);
  publish();
}

Digest Credentials::token_fingerprint(std::string_view token) {
  return fingerprint(Scheme::bearer, {}, token);
}

void Credentials::publish() {
  auto next = std::make_shared<Snapshot>();
  next->epoch = epoch_.load(std::memory_order_relaxed) + 1;
  for (const config::Credential& credential : configured_) {
    auto principal = std::make_shared<Principal>();
    principal->id = next->epoch << kIndexBits | (next->by_index.size() + 1);
    principal->name = credential.name;
    principal->device = credential.device.value_or("");
    if (credential.type && *credential.type != "*") principal->type = *credential.type;
    principal->stores = credential.stores;
    // A device binding alone does not say what type it is of: then `types` decides, empty means all.
    principal->types = credential.types;
    principal->gateway = credential.gateway;
    if (credential.type) principal->types.push_back(*credential.type);
    const Scheme scheme = credential.kind == config::Credential::Kind::basic ? Scheme::basic : Scheme::bearer;
    next->by_secret.emplace(fingerprint(scheme, credential.user, credential.secret.reveal()), principal);
    next->by_index.push_back(std::move(principal));
  }
  for (const DeviceToken& token : tokens_) {
    auto principal = std::make_shared<Principal>();
    principal->id = next->epoch << kIndexBits | (next->by_index.size() + 1);
    principal->name = "token of " + token.device;
    principal->device = token.device;
    principal->type = token.type;
    if (!token.type.empty()) principal->types.push_back(token.type);
    next->by_secret.emplace(token.fingerprint, principal);
    next->by_index.push_back(std::move(principal));
  }
  for (const auto& principal : next->by_index) {
    if (!principal->device.empty()) next->devices.insert(principal->device);
  }
  const std::uint64_t epoch = next->epoch;
  std::atomic_store(&snapshot_, std::shared_ptr<const Snapshot>(std::move(next)));
  epoch_.store(epoch, std::memory_order_release);
}

std::shared_ptr<const Credentials::Snapshot> Credentials::snapshot() const {
  static const auto kNone = std::make_shared<const Snapshot>();
  auto current = std::atomic_load(&snapshot_);
  return current ? current : kNone;
}

Result<Principal> Credentials::check(Scheme scheme, std::string_view user, std::string_view secret) const {
  if (scheme != Scheme::none) {
    const auto current = snapshot();
    const auto found = current->by_secret.find(fingerprint(scheme, user, secret));
    if (found != current->by_secret.end()) return *found->second;
  }
  return fail(Code::denied, "no [[credential]] matches what was presented");
}

bool Credentials::binds(const std::string& device) const { return snapshot()->devices.contains(device); }

std::shared_ptr<const Principal> Credentials::find(std::uint64_t id) const {
  const auto current = snapshot();
  if (id == 0) return current->anonymous;
  const std::uint64_t index = (id & ((std::uint64_t{1} << kIndexBits) - 1)) - 1;
  if (id >> kIndexBits != current->epoch || index >= current->by_index.size()) return nullptr;
  return current->by_index[index];
}

}  // namespace otagate::gateway
