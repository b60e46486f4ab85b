#include "state/run_marks.hpp"

#include <fstream>

#include "state/connection.hpp"

namespace otagate::state {

std::string kernel_boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

Result<LastRun> read_marks(Connection& connection, std::string_view boot_id) {
  auto ended = connection.text("SELECT value FROM setting WHERE key = 'run.ended'");
  if (!ended) return fail(std::move(ended).error());
  auto boot = connection.text("SELECT value FROM setting WHERE key = 'run.boot_id'");
  if (!boot) return fail(std::move(boot).error());
  return LastRun{*ended == "clean", !boot_id.empty() && *boot == boot_id};
}

Result<void> mark_running(Connection& connection, std::string_view boot_id) {
  return connection.run(
      "INSERT INTO setting (key, value) VALUES ('run.ended', 'no'), ('run.boot_id', ?)"
      " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      {boot_id});
}

Result<void> mark_clean(Connection& connection) {
  if (connection.damaged()) return fail(Code::permanent, "the database is damaged: not marked as clean");
  return connection.run("UPDATE setting SET value = 'clean' WHERE key = 'run.ended'");
}

}  // namespace otagate::state
