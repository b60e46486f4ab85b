// What others have to be told: rows that stay until they have heard it, in order for each destination and
// subject. Numbers are the caller's, each greater than any before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "state/query.hpp"

namespace otagate::state {

struct OutboxRow {
  std::int64_t id = 0;
  std::string destination{};  // "store:<name>"
  std::string subject{};
  int kind = 0;
  std::string body{};
  std::int64_t added_ms = 0;
};

// Greater than any number that was ever used.
Result<std::int64_t> next_outbox(Reader& db);
// Takes the place of those of its subject that `replaces` names, and of those of its own kind: what nobody
// was told yet is told by the newest alone, so that a subject never has more rows than there are kinds.
Result<void> put_outbox(Writer& db, const OutboxRow& row, int replaces);
Result<void> delete_outbox(Writer& db, std::int64_t id);
// By id, of a greater one than `after`.
Result<std::vector<OutboxRow>> page_outbox(Reader& db, const std::string& destination, std::int64_t after,
                                           std::size_t limit);
Result<bool> has_outbox(Reader& db, const std::string& destination, const std::string& subject, int kind);
// Of stores that are configured no more, added before; at most `most`.
Result<std::int64_t> prune_outbox(Writer& db, std::int64_t before_ms, std::size_t most);

}  // namespace otagate::state
