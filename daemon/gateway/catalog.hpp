// The catalog as devices and operators ask for it: (name, version, type) -> firmware, out of the state
// database, with the entity tag that was said for its bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "gateway/credentials.hpp"
#include "state/database.hpp"
#include "state/firmware.hpp"

namespace otagate::gateway {

// One firmware as it is answered.
struct Entry {
  state::Firmware firmware;
  std::string tag;                      // entity tag: for life of these bytes
  std::optional<Digest> digest;         // verified, else recorded earlier, else expected
  std::int64_t generation = 1;          // of fills of this object version
  std::int64_t modified_ms = 0;         // 0: unknown
  std::vector<std::string> locators{};  // other places of the same bytes, tried in turn
  bool shadowed = false;                // another store's or object's firmware has the same triple and wins

  std::string label() const;  // "name/version/type" for logs and events
};

// The entity tag of an object version whose digest nobody knew when it was first listed. The same
// arguments give the same tag on every machine.
std::string made_tag(std::string_view store, std::string_view key, std::string_view change_token,
                     std::int64_t generation);

struct ResolveQuery {
  std::shared_ptr<const Principal> principal;  // never null
  std::string name;
  std::string version;  // or "latest"
  std::string type;     // empty: the principal's, else any
  bool prereleases = false;
};

struct PageQuery {
  std::shared_ptr<const Principal> principal;
  std::string name, type, store;  // empty: all
  std::string cursor;
  std::size_t limit = 100;
  bool shadowed = false;  // also what loses against another store
};

struct Page {
  std::vector<Entry> items;
  std::string next;  // empty: that was the last page
};

// Every function queues a read and calls back on the database's reader thread: callbacks must not
// block. Any thread.
class Catalog {
 public:
  template <class T>
  using Reply = std::function<void(Result<T>)>;

  explicit Catalog(state::Database& db) : db_(db) {}

  // Whether a store answers, by its name: while it does not, resolve() prefers another store that has the
  // same firmware. Called on the reader thread; set once, before anybody asks.
  void set_reachable(std::function<bool(std::string_view store)> reachable) {
    reachable_ = std::move(reachable);
  }

  // One entry; several when the type is open (Code::ambiguous is then the caller's word); an error with
  // Code::not_found when there is none that the principal may see.
  void resolve(ResolveQuery query, Reply<std::vector<Entry>> reply);
  void page(PageQuery query, Reply<Page> reply);
  void get(std::int64_t id, Reply<Entry> reply);
  // What points to these bytes: who may see /blobs/sha256/<hex>.
  void by_digest(const Digest& digest, Reply<std::vector<Entry>> reply);

 private:
  state::Database& db_;
  std::function<bool(std::string_view store)> reachable_;
};

}  // namespace otagate::gateway
