// One listing of a store brought into the catalog: what is new or changed is examined and written, what has
// vanished is forgotten. A store that has not changed costs its list calls and reads, and writes nothing.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gateway/catalog_writer.hpp"
#include "gateway/paged_read.hpp"
#include "gateway/store_scope.hpp"
#include "gateway/write_behind.hpp"
#include "state/objects.hpp"

namespace otagate::gateway {

class StoreSync {
 public:
  explicit StoreSync(StoreScope scope) : scope_(std::move(scope)), reads_(scope_.db), writes_(scope_.db) {}

  // Once; blocks for as long as it takes. Code::cancelled when `stopping`. What was written before an
  // error stays, and the next sync goes on from there.
  Result<void> run();

  // Of run(), good or not.
  bool catalog_changed() const { return catalog_changed_; }
  // Of a good run().
  std::uint64_t objects() const { return objects_; }
  std::uint64_t skipped() const { return skipped_; }

 private:
  Result<void> check_rules();
  Result<void> list();
  Result<void> take_page(const std::vector<plugin::Object>& objects);
  Result<void> forget_vanished();
  Result<void> read_indexes();
  Result<void> find_described();
  Result<void> examine();
  Result<void> examine_batch(const std::vector<std::int64_t>& ids);
  Result<void> write(std::vector<Examined> examined);
  Result<void> count();

  const StoreScope scope_;
  PagedRead reads_;
  std::string rules_;  // what decides how objects are read, as text
  bool new_rules_ = false;
  state::SeenIds seen_;
  std::vector<std::int64_t> dirty_;  // ids of objects to examine
  std::set<std::string> sidecars_;   // keys of sidecars that came, changed or went
  bool index_changed_ = false;
  bool catalog_changed_ = false;
  std::uint64_t objects_ = 0;
  std::uint64_t skipped_ = 0;
  WriteBehind writes_;  // last: what it waits for touches the others
};

}  // namespace otagate::gateway
