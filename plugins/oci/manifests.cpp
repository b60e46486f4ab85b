#include "oci/manifests.hpp"

#include <utility>

#include "common/http_client/url.hpp"
#include "oci/reference.hpp"

namespace otagate::oci {
namespace {

constexpr std::size_t kMaxReferrers = 16;
constexpr std::chrono::hours kReferrersAge{1};
constexpr std::size_t kMaxConfig = 1u << 20;

}  // namespace

DocumentPtr Manifests::find(const std::string& digest) {
  const std::scoped_lock lock(mutex_);
  const auto found = kept_.find(digest);
  if (found == kept_.end()) return nullptr;
  used_.splice(used_.begin(), used_, found->second);
  return *found->second;
}

void Manifests::keep(const DocumentPtr& document) {
  const std::scoped_lock lock(mutex_);
  if (kept_.contains(document->digest)) return;
  used_.push_front(document);
  kept_[document->digest] = used_.begin();
  bytes_ += document->cost;
  while (used_.size() > 1 && (used_.size() > kMaxKept || bytes_ > kMaxKeptBytes)) {
    bytes_ -= used_.back()->cost;
    kept_.erase(used_.back()->digest);
    used_.pop_back();
  }
}

DocumentPtr Manifests::load(const std::string& repository, const std::string& digest,
                            const Cancelled& cancelled) {
  if (DocumentPtr kept = find(digest)) return kept;
  std::optional<RawManifest> raw;
  auto document = std::make_shared<Document>();
  try {
    raw = registry_.manifest(repository, digest, cancelled);
    if (!raw) return nullptr;
    *document = fetch(repository, std::move(*raw), cancelled);
  } catch (const sdk::Failure& failure) {
    // Too large, say: no reason to stop listing the others. Its tag was just resolved, so the server is
    // there.
    if (failure.status != OTAGATE_PERMANENT && failure.status != OTAGATE_NOT_FOUND) throw;
    *document = Document{digest, {}, {}, failure.message, 512};
  }
  keep(document);
  return document;
}

Document Manifests::fetch(const std::string& repository, RawManifest raw, const Cancelled& cancelled) {
  Document out;
  out.digest = std::move(raw.digest);
  out.cost = raw.body.size() + 512;
  common::Outcome<Manifest> parsed = parse_manifest(raw.body, raw.content_type);
  if (!parsed) {
    out.why = std::move(parsed.error().message);
    return out;
  }
  out.manifest = std::move(*parsed);
  const Descriptor& config = out.manifest.config;
  if (!out.manifest.image() || config.size > kMaxConfig || !valid_digest(config.digest)) return out;
  const std::string text = registry_.small_blob(repository, config.digest, kMaxConfig, cancelled);
  common::Outcome<Annotations> labels = parse_image_labels(text);
  if (labels) {
    out.labels = std::move(*labels);
    out.cost += text.size();
  } else {
    out.why = std::move(labels.error().message);
  }
  return out;
}

std::string Manifests::referrers(const std::string& repository, const std::string& digest,
                                 const Cancelled& cancelled) {
  const std::string key = repository + "@" + digest;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = referrers_.find(key);
    if (found != referrers_.end() && Clock::now() - found->second.at < kReferrersAge)
      return found->second.text;
  }
  std::string text = ask_referrers(repository, digest, cancelled);
  const std::scoped_lock lock(mutex_);
  if (referrers_.size() >= kMaxKept) referrers_.clear();
  referrers_[key] = {text, Clock::now()};
  return text;
}

std::string Manifests::ask_referrers(const std::string& repository, const std::string& digest,
                                     const Cancelled& cancelled) {
  bool ask = false;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = no_api_.find(repository);
    ask = found == no_api_.end() || Clock::now() - found->second >= kReferrersAge;
  }
  std::optional<RawManifest> raw;
  if (ask) {
    raw = registry_.referrers(repository, digest, cancelled);
    if (!raw) {
      const std::scoped_lock lock(mutex_);
      no_api_[repository] = Clock::now();
    }
  }
  if (!raw) raw = registry_.manifest(repository, referrers_tag(digest), cancelled);
  if (!raw) return {};
  const common::Outcome<Manifest> index = parse_manifest(raw->body, raw->content_type);
  return index && index->index ? describe_referrers(*index) : std::string();
}

std::string describe_referrers(const Manifest& index) {
  std::string out;
  std::size_t count = 0;
  for (const Descriptor& one : index.manifests) {
    if (!valid_digest(one.digest) || count == kMaxReferrers) continue;
    ++count;
    const std::string& type = one.artifact_type.empty() ? one.media_type : one.artifact_type;
    out.append(out.empty() ? "" : ", ").append(common::printable(type, 100)).append(" ").append(one.digest);
  }
  return out;
}

}  // namespace otagate::oci
