// Manifests by digest: asked for once, then kept, with what else of them is looked at.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "oci/manifest.hpp"
#include "oci/registry.hpp"

namespace otagate::oci {

// Never changes: it is named by its digest.
struct Document {
  std::string digest{};
  Manifest manifest{};
  Annotations labels{};  // of an image's configuration
  std::string why{};     // not empty: it cannot be used, for this reason
  std::size_t cost = 0;  // bytes it takes, roughly
};
using DocumentPtr = std::shared_ptr<const Document>;

// Any thread. Holds at most kMaxKept manifests and kMaxKeptBytes of them; the one not used for the longest
// time makes room.
class Manifests {
 public:
  static constexpr std::size_t kMaxKept = 20'000;
  static constexpr std::size_t kMaxKeptBytes = 16u << 20;

  // Borrows `registry`.
  explicit Manifests(Registry& registry) : registry_(registry) {}

  // nullptr when the repository has none of that digest. One that is there and cannot be used is an answer,
  // too. Throws sdk::Failure.
  DocumentPtr load(const std::string& repository, const std::string& digest, const Cancelled& cancelled);

  // What refers to a manifest, as "type digest, type digest" (kMaxReferrers at most): the referrers API, or
  // the tag that stands for it. Asked again after an hour: a signature may come long after what it signs.
  std::string referrers(const std::string& repository, const std::string& digest, const Cancelled& cancelled);

 private:
  using Clock = std::chrono::steady_clock;
  struct Referrers {
    std::string text;
    Clock::time_point at;
  };
  DocumentPtr find(const std::string& digest);
  void keep(const DocumentPtr& document);
  Document fetch(const std::string& repository, RawManifest raw, const Cancelled& cancelled);
  std::string ask_referrers(const std::string& repository, const std::string& digest,
                            const Cancelled& cancelled);

  Registry& registry_;
  std::mutex mutex_;
  // The following under mutex_.
  std::list<DocumentPtr> used_;  // the latest first
  std::unordered_map<std::string, std::list<DocumentPtr>::iterator> kept_;
  std::size_t bytes_ = 0;
  std::map<std::string, Referrers> referrers_;       // by repository@digest
  std::map<std::string, Clock::time_point> no_api_;  // repositories whose server has no referrers API
};

// "type digest, type digest" of a referrers index; empty when there are none.
std::string describe_referrers(const Manifest& index);

}  // namespace otagate::oci
