#include "state/inspection.hpp"

#include "state/connection.hpp"
#include "state/migrations.hpp"
#include "state/run_marks.hpp"

namespace otagate::state {

Result<Inspection> inspect(Connection& connection, std::string_view boot_id) {
  const Result<std::int64_t> version = connection.number("PRAGMA user_version");
  if (!version) return fail(version.error());
  const Result<std::int64_t> application = connection.number("PRAGMA application_id");
  if (!application) return fail(application.error());
  const Result<std::int64_t> tables = connection.number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return fail(tables.error());

  Inspection found;
  found.schema_version = static_cast<int>(*version);
  found.ours = *application == kApplicationId;
  found.empty = *version == 0 && *application == 0 && *tables == 0;
  if (found.ours && found.schema_version <= latest_version()) {
    auto last_run = read_marks(connection, boot_id);
    if (!last_run) return fail(std::move(last_run).error());
    found.last_run = *last_run;
  }
  return found;
}

Result<std::vector<std::string>> run_check(Connection& connection, std::string_view pragma) {
  Reader reader(connection);
  auto rows =
      reader.all("PRAGMA " + std::string(pragma) + "(100)", {}, [](const Row& row) { return row.text(0); });
  if (rows && *rows == std::vector<std::string>{"ok"}) rows->clear();
  return rows;
}

std::string newer_schema_message(const std::filesystem::path& path, int version) {
  return path.string() + " has schema version " + std::to_string(version) + ", this otagate knows " +
         std::to_string(latest_version()) +
         " at most: install the newer otagate again, or put back a backup made by this one with `otagate "
         "state "
         "restore BACKUP`";
}

std::string damaged_message(const std::filesystem::path& path, std::string_view finding) {
  return path.string() + " cannot be used (" + std::string(finding) +
         ") and was left as it is: `otagate state check` lists the damage, `otagate state restore BACKUP` "
         "puts a "
         "backup in its place; without a backup move the file away, cached blobs are found again";
}

}  // namespace otagate::state
