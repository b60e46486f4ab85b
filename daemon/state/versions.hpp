// What is remembered about one version of one object, (store, key, change token), beyond its presence in
// the store: its entity tag, the digest first recorded, and fills that were rejected. The rows outlive the
// object, so that one which vanishes and comes back says the same tag and is held to the same digest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "state/query.hpp"

namespace otagate::state {

struct VersionKey {
  std::int64_t store = 0;
  std::string key{};
  std::string change_token{};
};

struct ObjectVersion {
  std::int64_t id = 0;
  std::int64_t generation = 1;       // grows when a fill of it failed verification
  std::optional<std::string> tag{};  // of this generation; none before its first answer
  std::optional<Digest> digest{};    // first recorded: binding where upstream claims none
};

Result<std::optional<ObjectVersion>> find_version(Reader& db, const VersionKey& key);

// Says `tag` for this version unless one has been said before; returns the one that holds for good.
Result<std::string> settle_tag(Writer& db, const VersionKey& key, std::string_view tag);

// A fill failed verification: its tag is never said again. Returns the new generation.
Result<std::int64_t> retire_tag(Writer& db, const VersionKey& key);

// Records the digest of the first good fill; returns the recorded one, the first for good.
Result<Digest> settle_digest(Writer& db, const VersionKey& key, const Digest& digest);

struct Rejection {
  std::string reason{};
  std::int64_t wall_ms = 0;
};

// Rejections are keyed by the version and the digest that was expected of it, so a change of either lifts
// them.
Result<void> reject(Writer& db, const VersionKey& key, const std::optional<Digest>& expected,
                    std::string_view reason, std::int64_t wall_ms);
Result<std::optional<Rejection>> find_rejection(Reader& db, const VersionKey& key,
                                                const std::optional<Digest>& expected);
// By the operator: fetch it once more.
Result<void> lift_rejections(Writer& db, const VersionKey& key);

// Deletes the oldest rows whose version is neither listed nor being filled, while there are more than
// `max_rows`; at most 1000 in one call. Returns how many.
Result<std::int64_t> prune_versions(Writer& db, std::uint64_t max_rows);

}  // namespace otagate::state
