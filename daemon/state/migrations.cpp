#include "state/migrations.hpp"

#include <string>

#include "core/log.hpp"
#include "state/connection.hpp"

namespace otagate::state {

namespace {

Result<void> apply(Connection& connection, const Migration& step) {
  if (auto done = connection.script(step.sql); !done) return done;
  const Result<std::int64_t> orphans = connection.number("SELECT count(*) FROM pragma_foreign_key_check");
  if (!orphans) return fail(orphans.error());
  if (*orphans != 0)
    return fail(Code::internal, std::to_string(*orphans) + " rows would refer to rows that do not exist");
  return connection.script("PRAGMA application_id = " + std::to_string(kApplicationId) +
                           "; PRAGMA user_version = " + std::to_string(step.version));
}

}  // namespace

Result<void> migrate(Connection& connection, std::span<const Migration> steps) {
  const Result<std::int64_t> version = connection.number("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version >= steps.back().version) return {};

  // Inside a transaction this pragma does nothing, hence around all of them.
  if (auto off = connection.script("PRAGMA foreign_keys = OFF"); !off) return off;
  for (const Migration& step : steps) {
    if (step.version <= *version) continue;
    if (auto begun = connection.script("BEGIN IMMEDIATE"); !begun) return begun;
    auto done = apply(connection, step);
    if (done) done = connection.script("COMMIT");
    if (!done) {
      if (!connection.autocommit()) (void)connection.script("ROLLBACK");
      return fail(std::move(done).error().with_context("migration " + std::string(step.name)));
    }
    log("state").info("schema version {}: {}", step.version, step.name);
  }
  return connection.script("PRAGMA foreign_keys = ON");
}

}  // namespace otagate::state
