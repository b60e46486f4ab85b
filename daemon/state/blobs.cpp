#include "state/blobs.hpp"

#include <algorithm>

namespace otagate::state {

namespace {

std::string select(std::string_view where) {
  return std::string(
             "SELECT digest, size, added_ms, used_sequence, used_ms, state, reason, device, inode, mtime_ns,"
             " ctime_ns, (SELECT count(*) FROM pin p WHERE p.digest = blob.digest) FROM blob ")
      .append(where);
}

Blob read_blob(const Row& row) {
  return {.digest = row.digest(0).value_or(Digest{}),
          .size = row.u64(1),
          .added_ms = row.i64(2),
          .used_sequence = row.i64(3),
          .used_ms = row.i64(4),
          .state = static_cast<BlobState>(row.i64(5)),
          .reason = row.optional_text(6),
          .file = {row.u64(7), row.u64(8), row.i64(9), row.i64(10)},
          .pins = row.i64(11)};
}

// Device and inode numbers use all 64 bits on some file systems; they are only compared for equality.
std::int64_t as_signed(std::uint64_t number) { return static_cast<std::int64_t>(number); }

}  // namespace

Result<std::optional<Blob>> find_blob(Reader& db, const Digest& digest) {
  return db.one(select("WHERE digest = ?"), {digest}, read_blob);
}

Result<std::vector<Blob>> page_blobs(Reader& db, const std::optional<Digest>& after, std::size_t limit) {
  const std::uint64_t most = std::min(limit, kBlobPage);
  // Any digest is after the empty blob.
  const Value from = after ? Value(*after) : Value(std::span<const std::byte>());
  return db.all(select("WHERE digest > ? ORDER BY digest LIMIT ?"), {from, most}, read_blob);
}

Result<std::vector<Blob>> page_evictable(Reader& db, std::int64_t after_sequence, std::size_t limit) {
  const std::uint64_t most = std::min(limit, kBlobPage);
  return db.all(select("WHERE used_sequence > ? AND state = 0"
                       " AND NOT EXISTS (SELECT 1 FROM pin p WHERE p.digest = blob.digest)"
                       " ORDER BY used_sequence, digest LIMIT ?"),
                {after_sequence, most}, read_blob);
}

Result<BlobTotals> total_blobs(Reader& db) {
  auto totals = db.one(
      "SELECT count(*), COALESCE(sum(size), 0), COALESCE(sum(state = 1), 0), COALESCE(max(used_sequence), 0)"
      " FROM blob",
      {}, [](const Row& row) {
        return BlobTotals{row.u64(0), row.u64(1), row.u64(2), row.i64(3)};
      });
  if (!totals) return fail(std::move(totals).error());
  return **totals;
}

Result<void> put_blob(Writer& db, const Blob& blob) {
  // Not INSERT OR REPLACE: that would delete the verifications of the row it replaces.
  return db.run(
      "INSERT INTO blob (digest, size, added_ms, used_sequence, used_ms, state, reason, device, inode, "
      "mtime_ns,"
      " ctime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
      " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, added_ms = excluded.added_ms,"
      " used_sequence = excluded.used_sequence, used_ms = excluded.used_ms, state = excluded.state,"
      " reason = excluded.reason, device = excluded.device, inode = excluded.inode, mtime_ns = "
      "excluded.mtime_ns,"
      " ctime_ns = excluded.ctime_ns",
      {blob.digest, blob.size, blob.added_ms, blob.used_sequence, blob.used_ms, static_cast<int>(blob.state),
       blob.reason, as_signed(blob.file.device), as_signed(blob.file.inode), blob.file.mtime_ns,
       blob.file.ctime_ns});
}

Result<void> set_blob_file(Writer& db, const Digest& digest, const FileStamp& file) {
  return db.run("UPDATE blob SET device = ?, inode = ?, mtime_ns = ?, ctime_ns = ? WHERE digest = ?",
                {as_signed(file.device), as_signed(file.inode), file.mtime_ns, file.ctime_ns, digest});
}

Result<void> quarantine_blob(Writer& db, const Digest& digest, std::string_view reason) {
  if (auto forgotten = db.run("DELETE FROM verification WHERE blob = ?", {digest}); !forgotten)
    return forgotten;
  return db.run("UPDATE blob SET state = 1, reason = ? WHERE digest = ?", {reason, digest});
}

Result<void> delete_blob(Writer& db, const Digest& digest) {
  return db.run("DELETE FROM blob WHERE digest = ?", {digest});
}

Result<void> touch_blobs(Writer& db, std::span<const BlobUse> uses) {
  for (const BlobUse& use : uses)
    if (auto done = db.run(
            "UPDATE blob SET used_sequence = ?2, used_ms = ?3 WHERE digest = ?1 AND used_sequence < ?2",
            {use.digest, use.sequence, use.wall_ms});
        !done)
      return done;
  return {};
}

Result<void> put_verification(Writer& db, const Digest& blob, std::string_view policy, Verified level,
                              std::int64_t wall_ms) {
  return db.run(
      "INSERT INTO verification (blob, policy, verified, wall_ms) VALUES (?, ?, ?, ?)"
      " ON CONFLICT (blob, policy) DO UPDATE SET verified = excluded.verified,"
      " wall_ms = CASE excluded.wall_ms WHEN 0 THEN wall_ms ELSE excluded.wall_ms END",
      {blob, policy, static_cast<int>(level), wall_ms});
}

Result<std::optional<Verification>> find_verification(Reader& db, const Digest& blob,
                                                      std::string_view policy) {
  return db.one("SELECT verified, wall_ms FROM verification WHERE blob = ? AND policy = ?", {blob, policy},
                [](const Row& row) {
                  return Verification{static_cast<Verified>(row.i64(0)), row.i64(1)};
                });
}

Result<void> put_pin(Writer& db, const Pin& pin) {
  return db.run(
      "INSERT INTO pin (digest, owner, reason, added_ms) VALUES (?, ?, ?, ?)"
      " ON CONFLICT (digest, owner) DO UPDATE SET reason = excluded.reason",
      {pin.digest, pin.owner, pin.reason, pin.added_ms});
}

Result<bool> delete_pin(Writer& db, const Digest& digest, std::string_view owner) {
  const auto deleted = db.run_counted("DELETE FROM pin WHERE digest = ? AND owner = ?", {digest, owner});
  if (!deleted) return fail(deleted.error());
  return *deleted != 0;
}

Result<std::vector<Pin>> pins_of(Reader& db, const Digest& digest) {
  return db.all("SELECT owner, reason, added_ms FROM pin WHERE digest = ? ORDER BY owner LIMIT 1000",
                {digest}, [&](const Row& row) {
                  return Pin{digest, row.text(0), row.text(1), row.i64(2)};
                });
}

}  // namespace otagate::state
