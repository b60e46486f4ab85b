// Reads of many rows in parts that each fit into the time one read may take.
#pragma once

#include <algorithm>
#include <cstddef>

#include "core/error.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// A read of the database may last Options::read_limit at most, by the wall clock: how many rows that are
// depends on the disk and on what else the machine does. A part that does not fit is halved and read
// again; what fits lets the next one grow. One thread, and none on which Database::read_sync is forbidden.
class PagedRead {
 public:
  explicit PagedRead(state::Database& db, std::size_t most = 1000) : db_(db), most_(most) {}

  // Calls `work(reader, limit)` on the reader thread until it fits; it looks at `limit` rows at most and
  // may be called again from the start. Returns what it returned; Code::deadline only when even a single
  // row has repeatedly taken too long.
  template <class Work>
  auto once(Work work) -> decltype(work(std::declval<state::Reader&>(), std::size_t{})) {
    for (int tries = 0;; ++tries) {
      const std::size_t limit = part_;
      auto read = db_.read_sync([&](state::Reader& reader) { return work(reader, limit); });
      if (read || read.error().code() != Code::deadline || (limit == 1 && tries >= kTries)) {
        if (read) part_ = std::min(most_, limit * 2);
        return read;
      }
      part_ = std::max<std::size_t>(1, limit / 2);
    }
  }

  // Calls `work(reader, from, to)` for all of 0..count in parts.
  template <class Work>
  Result<void> all(std::size_t count, Work work) {
    for (std::size_t from = 0; from < count;) {
      std::size_t to = from;
      const Result<void> done = once([&](state::Reader& reader, std::size_t limit) {
        to = std::min(count, from + limit);
        return work(reader, from, to);
      });
      if (!done) return done;
      from = to;
    }
    return {};
  }

 private:
  static constexpr int kTries = 16;  // more than halvings from any `most`

  state::Database& db_;
  const std::size_t most_;
  std::size_t part_ = std::min<std::size_t>(most_, 250);
};

}  // namespace otagate::gateway
