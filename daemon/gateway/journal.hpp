// The cache's durable records, kept in the state database, and its events, kept in the event log.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cache/host.hpp"
#include "gateway/events.hpp"
#include "state/database.hpp"

namespace otagate::gateway {

// Thread-safe: the cache calls from its thread, stores come and go from the gateway's.
class Journal final : public cache::Journal, public cache::EventSink, public cache::EvictionGate {
 public:
  // `catalog_changed` is called on the writer thread whenever an answer of the catalog may differ.
  Journal(state::Database& db, EventLog& events, std::function<void()> catalog_changed)
      : db_(db), events_(events), catalog_changed_(std::move(catalog_changed)) {}

  // The row of a configured store's name; fills of other names are not recorded.
  void set_store(const std::string& name, std::int64_t id);
  // The store has gone from the configuration: nothing waits for a listing of it any longer.
  void remove_store(const std::string& name);
  // Whether the store's last listing worked: while it did not, its blobs do not expire.
  void set_listed(const std::string& name, bool good);
  // True while the rejection of that fill is on its way into the database: whoever looks there does not
  // find it yet.
  bool rejecting(const cache::FillKey& key) const;
  // What the verifier found out about the bytes of a fill, written with the blob.
  void note_format(const cache::FillKey& key, std::string format);

  // What the database knows of the cache, for Cache::create. Blocks.
  static Result<std::vector<cache::BlobRecord>> known_blobs(state::Database& db);

  void fill_started(const cache::FillKey& key, std::string_view id, std::uint64_t size) override;
  void fill_ended(const cache::FillKey& key, std::string_view id, Code code,
                  std::string_view reason) override;
  void blob_added(const cache::BlobRecord& blob, const std::optional<cache::FillKey>& key,
                  Done done) override;
  void blob_removed(const Digest& digest, std::string_view reason, Done done) override;
  void blob_verified(const cache::BlobRecord& blob) override;
  void blob_quarantined(const Digest& digest, std::string_view reason) override;
  void blobs_used(std::span<const cache::BlobRecord> blobs) override;

  void event(const cache::Event& event) override;

  bool may_expire(const Digest& digest) override;

 private:
  struct StoreRow {
    std::int64_t id = 0;
    bool listed = false;
  };
  std::optional<std::int64_t> store_id(const std::string& name) const;

  state::Database& db_;
  EventLog& events_;
  std::function<void()> catalog_changed_;

  mutable std::mutex mutex_;
  std::map<std::string, StoreRow> stores_;         // under mutex_
  std::map<std::string, std::string> formats_;     // fill id -> format, under mutex_
  std::multiset<std::string> rejecting_;           // fill ids, under mutex_
  std::map<std::string, std::int64_t> fill_rows_;  // fill id -> row; writer thread only
};

}  // namespace otagate::gateway
