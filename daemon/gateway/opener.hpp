// From a firmware of the catalog to a reader of its bytes: cached, being filled, or refused with a reason.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cache/cache.hpp"
#include "gateway/catalog.hpp"
#include "gateway/journal.hpp"
#include "gateway/store_client.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

struct OpenOptions {
  bool streaming = false;
  bool prefetch = false;
  bool refetch_rejected = false;  // the operator asks: try once more what was rejected
  std::string peer;
  std::uint64_t offset = 0;  // where the peer goes on
  std::chrono::milliseconds timeout{0};
};

// Thread-safe. Replies come inline, on the cache's thread or on the database's: they must not block.
class Opener {
 public:
  using Reply = std::function<void(Result<cache::ReaderPtr>)>;

  Opener(state::Database& db, cache::Cache& cache, Journal& journal)
      : db_(db), cache_(cache), journal_(journal) {}

  // Stores come and go with the configuration. A store that is not there refuses with `transient`.
  void set_store(const config::Store& config, std::int64_t id, std::shared_ptr<StoreClient> client);
  void remove_store(const std::string& name);
  // Whether a store may be expected to answer now.
  bool reachable(std::string_view name);

  void open(const Entry& entry, OpenOptions options, Reply reply);

 private:
  struct StoreUse {
    config::Store config;
    std::int64_t id = 0;
    std::shared_ptr<StoreClient> client;
  };
  // How long a rejected object version is refused without another try; doubles with each rejection.
  struct Penalty {
    std::int64_t until_ms = 0;
    std::int64_t length_ms = 0;
  };

  void start_fill(const Entry& entry, const OpenOptions& options,
                  const std::shared_ptr<const StoreUse>& store, const Reply& reply);
  bool may_retry_rejected(const std::string& fill_id);

  state::Database& db_;
  cache::Cache& cache_;
  Journal& journal_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const StoreUse>, std::less<>> stores_;  // under mutex_
  std::map<std::string, Penalty> penalties_;                                    // by fill id, under mutex_
};

}  // namespace otagate::gateway
