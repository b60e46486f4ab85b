// The built-in store `local`: firmware that an operator has brought, by hand or in a bundle.
//
// Its bytes are in the cache and nowhere else, so they are pinned there; its objects are rows only. Bytes
// come first (receive), each upload a fill like any other; then a list makes firmware of them (add), all of
// it or none.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "cache/cache.hpp"
#include "core/error.hpp"
#include "core/fd.hpp"
#include "firmware/import_list.hpp"
#include "gateway/events.hpp"
#include "gateway/journal.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

inline constexpr std::string_view kLocalStore = "local";
inline constexpr std::string_view kBuiltIn = "built-in";  // where others name their plugin

class Upload;

// Thread-safe. What it borrows outlives it; the cache is stopped before it is.
class LocalStore {
 public:
  template <class T>
  using Reply = std::function<void(Result<T>)>;

  LocalStore(state::Database& db, cache::Cache& cache, Journal& journal, EventLog& events,
             std::function<void()> catalog_changed);
  ~LocalStore();  // stop()
  LocalStore(const LocalStore&) = delete;
  LocalStore& operator=(const LocalStore&) = delete;

  // The row of the store; at start and after a restore.
  void set_row(std::int64_t id);

  // Takes the `size` bytes of a blob. They are to be written to the socket that is returned, which is then
  // shut down; where there is none nothing is wanted (it is cached, or refused). `reply` once, when the blob
  // is verified and durable or why not; busy beyond a few at a time.
  UniqueFd receive(const Digest& digest, std::uint64_t size, Reply<void> reply);

  // Makes firmware of blobs that are in the cache: all items or none. Replies with how many are new or
  // changed. Other bytes under a name and version that is there are refused unless `replace`.
  void add(firmware::ImportList list, Reply<std::uint64_t> reply);

  // Forgets one; its bytes may then be evicted.
  void remove(const std::string& name, const std::string& version, const std::string& type,
              Reply<void> reply);

  std::uint64_t objects() const { return objects_.load(std::memory_order_relaxed); }

  // Ends uploads; replies have come when it returns. Idempotent.
  void stop();

 private:
  struct Job {
    std::thread thread;
    std::atomic<bool> done{false};
    std::function<void()> interrupt;
  };
  struct Item;

  // False when as many are running as may.
  bool run(std::function<void()> work, std::function<void()> interrupt);
  void hold_arrival(const Digest& digest);
  Result<std::uint64_t> add_now(const firmware::ImportList& list);
  Result<Item> identify(const firmware::Import& import);
  Result<std::string> head_of(const Digest& digest, std::uint64_t& size);
  Result<bool> write(state::Writer& db, const Item& item, bool replace, std::vector<state::Event>& events,
                     std::vector<Digest>& freed);
  void count();

  state::Database& db_;
  cache::Cache& cache_;
  Journal& journal_;
  EventLog& events_;
  const std::function<void()> catalog_changed_;
  std::atomic<std::int64_t> row_{0};
  std::atomic<std::uint64_t> objects_{0};

  std::mutex mutex_;
  bool stopping_ = false;                    // under mutex_
  std::list<Job> jobs_;                      // under mutex_
  std::map<Digest, std::int64_t> arrivals_;  // blobs that no list has named yet: since when; under mutex_
};

}  // namespace otagate::gateway
