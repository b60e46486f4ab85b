#include "gateway/opener.hpp"

#include <algorithm>

#include "core/clock.hpp"
#include "gateway/local_store.hpp"
#include "gateway/verifier.hpp"
#include "state/objects.hpp"
#include "state/versions.hpp"

namespace otagate::gateway {

namespace {

constexpr std::int64_t kFirstPenaltyMs = 30'000;
constexpr std::int64_t kMostPenaltyMs = 3'600'000;
constexpr std::size_t kMaxPenalties = 4096;

cache::FillKey key_of(const Entry& entry) {
  return {entry.firmware.store_name, entry.firmware.key, entry.firmware.change_token, entry.digest};
}

}  // namespace

void Opener::set_store(const config::Store& config, std::int64_t id, std::shared_ptr<StoreClient> client) {
  auto use = std::make_shared<StoreUse>();
  use->config = config;
  use->id = id;
  use->client = std::move(client);
  const std::scoped_lock lock(mutex_);
  stores_[config.name] = std::move(use);
}

void Opener::remove_store(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  stores_.erase(name);
}

bool Opener::reachable(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  const auto found = stores_.find(name);
  return found != stores_.end() && found->second->client->reachable(steady_ms());
}

bool Opener::may_retry_rejected(const std::string& fill_id) {
  const std::scoped_lock lock(mutex_);
  const std::int64_t now = steady_ms();
  const auto found = penalties_.find(fill_id);
  if (found != penalties_.end() && now < found->second.until_ms) return false;
  // The first time it is seen here, and after each try, it is refused for a while, then longer.
  const std::int64_t length =
      found == penalties_.end() ? kFirstPenaltyMs : std::min(found->second.length_ms * 2, kMostPenaltyMs);
  const bool retry = found != penalties_.end();
  if (!retry && penalties_.size() >= kMaxPenalties) penalties_.erase(penalties_.begin());
  penalties_[fill_id] = {now + length, length};
  return retry;
}

void Opener::open(const Entry& entry, OpenOptions options, Reply reply) {
  const cache::FillKey key = key_of(entry);
  if (!options.peer.empty() && cache_.had_rejected_bytes(options.peer, key)) {
    if (options.offset != 0) {
      reply(fail(Code::precondition,
                 "the first bytes of this download came from a copy that failed verification; "
                 "start again from 0"));
      return;
    }
    cache_.forget_rejected_bytes(options.peer, key);
  }
  if (entry.digest) {
    auto cached = cache_.open_cached(*entry.digest, options.streaming, options.peer);
    if (cached || (cached.error().code() != Code::not_found && cached.error().code() != Code::busy)) {
      reply(std::move(cached));
      return;
    }
  }
  std::shared_ptr<const StoreUse> store;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = stores_.find(entry.firmware.store_name);
    if (found != stores_.end()) store = found->second;
  }
  if (!store && entry.firmware.store_name == kLocalStore) {
    reply(fail(Code::not_found, "the bytes of " + entry.label() +
                                    " were imported and are not in the cache any more; import it again"));
    return;
  }
  if (!store) {
    reply(fail(Error(Code::transient, "store " + entry.firmware.store_name + " is not running, and " +
                                          entry.label() + " is not in the cache")
                   .with_retry_after(30'000)));
    return;
  }
  const config::Require require = store->config.require_for(entry.firmware.type);
  if (require >= config::Require::digest && !entry.firmware.expected_digest) {
    reply(fail(Code::rejected, "require = \"" + std::string(config::to_string(require)) +
                                   "\", but no SHA-256 is known for " + entry.label() +
                                   "; give it in metadata, a sidecar or an index"));
    return;
  }

  if (!options.refetch_rejected && journal_.rejecting(key)) {
    reply(fail(Code::rejected, entry.label() + " has just failed verification"));
    return;
  }

  auto outcome = std::make_shared<bool>(false);
  db_.read(
      [outcome, key, store_id = store->id](state::Reader& db) -> Result<void> {
        const auto rejection =
            state::find_rejection(db, {store_id, key.object, key.change_token}, key.expected);
        if (!rejection) return fail(rejection.error());
        *outcome = rejection->has_value();
        return *rejection ? fail(Code::rejected, (*rejection)->reason) : Result<void>();
      },
      [this, outcome, key, entry, options = std::move(options), store,
       reply = std::move(reply)](Result<void> read) {
        if (!read) {
          // Refused until a while has passed; then one more try may find the store mended.
          const bool again = *outcome && (options.refetch_rejected || may_retry_rejected(key.id()));
          if (!again) {
            reply(fail(std::move(read).error()));
            return;
          }
        }
        start_fill(entry, options, store, reply);
      });
}

void Opener::start_fill(const Entry& entry, const OpenOptions& options,
                        const std::shared_ptr<const StoreUse>& store, const Reply& reply) {
  const std::int64_t closed = store->client->circuit().admit(steady_ms());
  if (closed != 0) {
    reply(fail(Error(Code::transient, "store " + entry.firmware.store_name + " does not answer, and " +
                                          entry.label() + " is not in the cache")
                   .with_retry_after(static_cast<std::uint64_t>(closed))));
    return;
  }
  cache::OpenRequest request;
  request.key = key_of(entry);
  request.digest = entry.digest;
  request.source = [client = store->client, firmware = entry.firmware, locators = entry.locators] {
    return client->source(firmware.key, firmware.change_token, firmware.size,
                          (firmware.object_flags & OTAGATE_OBJECT_RANGES) != 0, locators);
  };
  request.verifier =
      std::make_shared<PolicyVerifier>(store->config.require_for(entry.firmware.type), journal_);
  request.streaming = options.streaming && store->config.stream_unverified;
  request.prefetch = options.prefetch;
  request.peer = options.peer;
  request.timeout = options.timeout;
  cache_.open(std::move(request), reply);
}

}  // namespace otagate::gateway
