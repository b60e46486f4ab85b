// Repositories of one registry as a store.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/manifests.hpp"
#include "oci/reference.hpp"
#include "oci/registry.hpp"
#include "oci/selection.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::oci {

class OciStore : public sdk::Store {
 public:
  explicit OciStore(sdk::StoreHost& host);

  sdk::Caps caps() override;
  void list(const sdk::ListRequest& request, sdk::ListSink& sink) override;
  void fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) override;
  sdk::Object stat(std::string_view key, sdk::Call& call) override;
  sdk::Object publish(const sdk::PublishRequest& request, sdk::Call& call) override;

 private:
  // One manifest that a key stands for, and how its index lists it.
  struct Found {
    DocumentPtr document;
    DocumentPtr index;                       // nullptr when it is in none
    const Descriptor* descriptor = nullptr;  // in index
  };
  struct Cursor;

  void list_tags(Cursor& at, std::uint32_t limit, sdk::ListSink& sink);
  std::vector<std::string> page_of(Cursor& at, std::uint32_t limit, const Cancelled& cancelled);
  std::vector<sdk::Object> objects_of(const Reference& of, const Cancelled& cancelled);
  void add_objects(std::vector<sdk::Object>& out, const Key& key, const Found& found,
                   const Cancelled& cancelled);
  bool wanted(const std::string& tag) const;

  // The key's repository is one of the configured; throws OTAGATE_NOT_FOUND otherwise.
  Key known_key(std::string_view text) const;
  // What the key names now. Throws OTAGATE_NOT_FOUND.
  Found locate(const Key& key, const Cancelled& cancelled);
  // The digest at which a key begins now: pinned, or what its tag names. Throws OTAGATE_NOT_FOUND.
  std::string root_of(const Key& key, const Cancelled& cancelled);
  void check_current(const Key& key, const std::string& token, const Cancelled& cancelled);
  std::vector<Candidate> candidates(const Key& key, const Found& found) const;
  Candidate pick(const Key& key, const Found& found) const;
  void fetch_blob(const Key& key, const Candidate& candidate, const std::string& token,
                  const sdk::FetchRequest& request, sdk::FetchSink& sink);

  sdk::StoreHost& host_;
  const std::vector<Reference> sources_;
  const std::vector<std::string> tags_;
  const std::vector<std::string> ignored_tags_;
  const bool names_;
  const bool ranges_;
  const bool with_referrers_;
  const bool publish_;
  const std::string publish_repository_;
  const std::uint64_t scan_max_;
  Registry registry_;
  Manifests manifests_;

  std::mutex mutex_;
  // Under mutex_: the page of tags that a listing was last in the middle of.
  std::string page_name_;
  TagsPage page_;
};

// The parts of an index that are manifests of their own, each with the word that tells it apart in a key.
std::vector<std::pair<std::string, const Descriptor*>> variants_of(const Manifest& index);

}  // namespace otagate::oci
