#include "oci/oci_store.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "common/http_client/url.hpp"
#include "common/object_store/store_calls.hpp"
#include "oci/blob_download.hpp"
#include "oci/image_files.hpp"
#include "oci/listing.hpp"
#include "oci/parallel.hpp"

namespace otagate::oci {
namespace {

using sdk::Failure;

// A page ends early when it took so long: the gateway waits for each with a deadline.
constexpr std::chrono::seconds kPageTime{4};
constexpr std::size_t kSideBySide = 4;
constexpr std::size_t kBatch = 32;
constexpr std::uint32_t kTagsPage = 1000;

std::vector<Reference> read_sources(const sdk::StoreHost& host) {
  std::vector<Reference> out;
  for (const std::string& text : host.option("repositories").strings()) {
    common::Outcome<Reference> one = parse_reference(text);
    if (!one) throw Failure(OTAGATE_INVALID, "option 'repositories': " + one.error().message);
    if (std::find(out.begin(), out.end(), *one) == out.end()) out.push_back(std::move(*one));
  }
  if (out.empty()) throw Failure(OTAGATE_INVALID, "option 'repositories' is empty: name at least one");
  return out;
}

std::string read_publish_repository(const sdk::StoreHost& host, const std::vector<Reference>& sources) {
  std::string name = host.option("publish_repository").string(sources.front().repository);
  if (!valid_repository(name)) {
    throw Failure(OTAGATE_INVALID, "option 'publish_repository' is no repository such as 'vendor/firmware'");
  }
  return name;
}

bool matches(const std::vector<std::string>& patterns, const std::string& tag) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), tag.c_str(), 0) == 0;
  });
}

}  // namespace

std::vector<std::pair<std::string, const Descriptor*>> variants_of(const Manifest& index) {
  std::vector<std::pair<std::string, const Descriptor*>> out;
  std::set<std::string> taken;
  for (const Descriptor& one : index.manifests) {
    if (describes_another(one) || !valid_digest(one.digest)) continue;
    std::string word = as_variant(type_of(one));
    if (word.empty() || !taken.insert(word).second) word = digest_hex(one.digest).substr(0, 12);
    out.emplace_back(std::move(word), &one);
  }
  return out;
}

OciStore::OciStore(sdk::StoreHost& host)
    : host_(host),
      sources_(read_sources(host)),
      tags_(host.option("tags").strings()),
      ignored_tags_(host.option("ignore_tags").strings()),
      names_(host.option("names").boolean(true)),
      ranges_(host.option("ranges").boolean(true)),
      with_referrers_(host.option("referrers").boolean(true)),
      publish_(host.option("publish").boolean(false)),
      publish_repository_(read_publish_repository(host, sources_)),
      scan_max_(static_cast<std::uint64_t>(host.option("scan_max").integer(64 << 20))),
      registry_(host),
      manifests_(registry_) {}

sdk::Caps OciStore::caps() {
  std::uint32_t flags = OTAGATE_STORE_VALIDATOR | OTAGATE_STORE_STAT;
  if (ranges_) flags |= OTAGATE_STORE_RANGES;
  if (publish_) flags |= OTAGATE_STORE_PUBLISH;
  return {flags, 64 * 1024, 4};
}

bool OciStore::wanted(const std::string& tag) const {
  if (is_referrers_tag(tag) || matches(ignored_tags_, tag)) return false;
  return tags_.empty() || matches(tags_, tag);
}

struct OciStore::Cursor : ListPosition {};

std::vector<std::string> OciStore::page_of(Cursor& at, std::uint32_t limit, const Cancelled& cancelled) {
  const std::string& repository = sources_[at.source].repository;
  const std::string name = repository + "\n" + at.page;
  {
    const std::scoped_lock lock(mutex_);
    if (!at.after.empty() && page_name_ == name) {
      at.next = page_.next;
      return page_.tags;
    }
  }
  TagsPage page = registry_.tags(repository, at.page, std::clamp(limit, 1u, kTagsPage), cancelled);
  at.next = page.next;
  const std::scoped_lock lock(mutex_);
  page_name_ = name;
  page_ = page;
  return std::move(page.tags);
}

void OciStore::list(const sdk::ListRequest& request, sdk::ListSink& sink) {
  const std::optional<ListPosition> position = parse_position(request.cursor);
  if (!position || position->source > sources_.size()) {
    throw Failure(OTAGATE_INVALID, "the cursor is none that this store gave");
  }
  Cursor at{*position};
  list_tags(at, std::max(request.limit, 1u), sink);
  if (at.source < sources_.size() && !sink.stopped()) sink.next(to_string(at));
}

// Ends at the end of everything, or with `at` where the next page begins.
void OciStore::list_tags(Cursor& at, std::uint32_t limit, sdk::ListSink& sink) {
  std::mutex asking;
  const Cancelled cancelled = [&] {
    const std::scoped_lock lock(asking);
    return sink.stopped();
  };
  const auto started = std::chrono::steady_clock::now();
  std::uint32_t count = 0;
  while (at.source < sources_.size()) {
    const Reference& source = sources_[at.source];
    const bool single = !source.manifest().empty();
    const std::vector<std::string> tags =
        single ? std::vector<std::string>{source.tag} : page_of(at, limit, cancelled);
    auto next = at.after.empty() ? tags.begin() : std::find(tags.begin(), tags.end(), at.after);
    if (next == tags.end() && !single) {
      // The tag at which the last page ended is gone: its page of tags once more.
      next = tags.begin();
      at.skip = 0;
    } else if (next == tags.end()) {
      next = tags.begin();
    } else if (!at.after.empty() && at.skip == 0) {
      ++next;
    }

    while (next != tags.end()) {
      std::vector<Reference> batch;
      for (; next != tags.end() && batch.size() < std::min<std::size_t>(kBatch, limit - count); ++next) {
        if (single) {
          batch.push_back(source);
        } else if (wanted(*next)) {
          batch.push_back({source.repository, *next, {}});
        }
      }
      std::vector<std::vector<sdk::Object>> found(batch.size());
      in_parallel(batch.size(), kSideBySide,
                  [&](std::size_t i) { found[i] = objects_of(batch[i], cancelled); });
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (count == limit && !found[i].empty()) return;
        at.after = batch[i].tag.empty() ? "@" : batch[i].tag;
        for (std::size_t k = at.skip; k < found[i].size(); ++k) {
          if (count == limit) {
            at.skip = k;
            return;
          }
          if (!sink.object(found[i][k])) return;
          ++count;
        }
        at.skip = 0;
      }
      const bool late = std::chrono::steady_clock::now() - started >= kPageTime;
      if ((count == limit || late) && next != tags.end()) return;
    }
    at.after.clear();
    at.skip = 0;
    at.page = single ? std::string() : std::exchange(at.next, {});
    if (at.page.empty()) ++at.source;
    if (count == limit || std::chrono::steady_clock::now() - started >= kPageTime) return;
  }
}

std::vector<sdk::Object> OciStore::objects_of(const Reference& of, const Cancelled& cancelled) {
  std::vector<sdk::Object> out;
  const std::optional<std::string> digest =
      of.digest.empty() ? registry_.resolve(of.repository, of.tag, cancelled) : std::optional(of.digest);
  // A tag that is gone since it was listed is no failure.
  const DocumentPtr root = digest ? manifests_.load(of.repository, *digest, cancelled) : nullptr;
  if (!root) {
    if (!of.digest.empty()) {
      host_.warn(of.repository + " has no manifest with the digest " + of.digest + ": check 'repositories'");
    }
    return out;
  }
  if (!root->manifest.index) {
    add_objects(out, {of, {}, {}}, {root, nullptr, nullptr}, cancelled);
    return out;
  }
  const auto variants = variants_of(root->manifest);
  if (variants.empty()) add_objects(out, {of, {}, {}}, {root, nullptr, nullptr}, cancelled);
  for (const auto& [word, descriptor] : variants) {
    const DocumentPtr part = manifests_.load(of.repository, descriptor->digest, cancelled);
    // Indexes need not hold everything they list: a mirror may have copied one platform.
    if (part) add_objects(out, {of, word, {}}, {part, root, descriptor}, cancelled);
  }
  return out;
}

std::vector<Candidate> OciStore::candidates(const Key& key, const Found& found) const {
  const Document& document = *found.document;
  if (!document.why.empty() || document.manifest.index) {
    Candidate none;
    none.why = !document.why.empty() ? document.why
               : found.index         ? "an index within an index is not looked into"
                                     : "an index that lists no manifest of firmware";
    return {std::move(none)};
  }
  Surroundings around;
  around.of = key.of;
  around.names = names_;
  around.index = found.index ? &found.index->manifest.annotations : nullptr;
  around.descriptor = found.descriptor;
  around.labels = &document.labels;
  return choose(document.manifest, around);
}

void OciStore::add_objects(std::vector<sdk::Object>& out, const Key& key, const Found& found,
                           const Cancelled& cancelled) {
  const std::string referrers =
      with_referrers_ ? manifests_.referrers(key.of.repository, found.document->digest, cancelled)
                      : std::string();
  for (Candidate& one : candidates(key, found)) {
    sdk::Object object;
    object.key = to_string(Key{key.of, key.variant, one.file});
    if (object.key.size() > kMaxKey) continue;
    object.change_token = found.document->digest;
    object.size = one.size;
    object.sha256 = std::move(one.sha256);
    object.ranges = one.shape == Shape::blob;
    // What stat() adds costs more than a listing may: reading through layers, or saying why there is nothing.
    object.has_stat = one.shape == Shape::unusable || (one.shape == Shape::member && object.sha256.empty());
    object.metadata = std::move(one.metadata);
    if (!referrers.empty()) object.metadata.emplace_back("referrers", referrers);
    out.push_back(std::move(object));
  }
}

Key OciStore::known_key(std::string_view text) const {
  std::optional<Key> key = parse_key(text);
  const bool ours =
      key && (std::any_of(sources_.begin(), sources_.end(),
                          [&](const Reference& one) { return one.repository == key->of.repository; }) ||
              (publish_ && key->of.repository == publish_repository_));
  if (!ours) throw Failure(OTAGATE_NOT_FOUND, "no object of this store has that key");
  return std::move(*key);
}

std::string OciStore::root_of(const Key& key, const Cancelled& cancelled) {
  if (!key.of.digest.empty()) return key.of.digest;
  std::optional<std::string> digest = registry_.resolve(key.of.repository, key.of.tag, cancelled);
  if (!digest)
    throw Failure(OTAGATE_NOT_FOUND, "the tag '" + key.of.tag + "' of " + key.of.repository + " is gone");
  return std::move(*digest);
}

OciStore::Found OciStore::locate(const Key& key, const Cancelled& cancelled) {
  const DocumentPtr root = manifests_.load(key.of.repository, root_of(key, cancelled), cancelled);
  const auto gone = [&] { return Failure(OTAGATE_NOT_FOUND, "'" + to_string(key) + "' is not there"); };
  if (!root) throw gone();
  if (key.variant.empty()) return {root, nullptr, nullptr};
  for (const auto& [word, descriptor] : variants_of(root->manifest)) {
    if (word != key.variant) continue;
    DocumentPtr part = manifests_.load(key.of.repository, descriptor->digest, cancelled);
    if (!part) break;
    return {std::move(part), root, descriptor};
  }
  throw gone();
}

Candidate OciStore::pick(const Key& key, const Found& found) const {
  for (Candidate& one : candidates(key, found)) {
    if (one.file == key.file) return std::move(one);
  }
  throw Failure(OTAGATE_NOT_FOUND, "'" + to_string(key) + "' is not there");
}

// A fill begins with what the tag names now. Once begun it goes on with the manifest it began with: the bytes
// are named by their digest, and cannot be a mixture.
void OciStore::check_current(const Key& key, const std::string& token, const Cancelled& cancelled) {
  const std::string root = root_of(key, cancelled);
  if (root == token) return;
  const DocumentPtr index =
      key.variant.empty() ? nullptr : manifests_.load(key.of.repository, root, cancelled);
  if (index) {
    const auto variants = variants_of(index->manifest);
    const bool same = std::any_of(variants.begin(), variants.end(), [&](const auto& one) {
      return one.first == key.variant && one.second->digest == token;
    });
    if (same) return;
  }
  throw Failure(OTAGATE_CHANGED, "'" + to_string(key) + "' names another manifest than when it was listed");
}

void OciStore::fetch(const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  const Key key = known_key(request.key);
  const Cancelled cancelled = [&sink] { return sink.stopped(); };
  Found found;
  if (request.change_token.empty()) {
    found = locate(key, cancelled);
  } else {
    const std::string token(request.change_token);
    if (!valid_digest(token)) throw Failure(OTAGATE_CHANGED, "the change token is none that this store gave");
    if (request.offset == 0) check_current(key, token, cancelled);
    found.document = manifests_.load(key.of.repository, token, cancelled);
    if (!found.document) throw Failure(OTAGATE_CHANGED, "the manifest " + token + " is gone");
  }
  const Candidate candidate = pick(key, found);
  const std::string& token = found.document->digest;
  switch (candidate.shape) {
    case Shape::unusable: throw Failure(OTAGATE_PERMANENT, candidate.why);
    case Shape::member: fetch_member(registry_, key.of.repository, candidate, request, token, sink); return;
    case Shape::blob: fetch_blob(key, candidate, token, request, sink); return;
  }
}

void OciStore::fetch_blob(const Key& key, const Candidate& candidate, const std::string& token,
                          const sdk::FetchRequest& request, sdk::FetchSink& sink) {
  BlobDownload download(request, candidate.size, token, sink);
  if (download.nothing_wanted()) return;
  common::HttpRequest http;
  // The Range must reach the host that the registry redirects to; it is no secret.
  if (std::string range = download.range(); !range.empty())
    http.headers.push_back({"Range", std::move(range), false});
  http.on_head = [&](const common::HttpHead& head) { return download.on_head(head); };
  http.on_body = [&](std::span<const char> bytes) { return download.on_body(bytes); };
  registry_.blob(key.of.repository, candidate.layer.digest, std::move(http),
                 [&sink] { return sink.stopped(); });
  if (!sink.stopped()) download.finish("GET blob " + candidate.layer.digest + " of " + key.of.repository);
}

sdk::Object OciStore::stat(std::string_view text, sdk::Call& call) {
  const Key key = known_key(text);
  const Cancelled cancelled = [&call] { return call.stopped(); };
  const Found found = locate(key, cancelled);
  Candidate candidate = pick(key, found);
  if (candidate.shape == Shape::unusable) throw Failure(OTAGATE_PERMANENT, candidate.why);
  sdk::Object object;
  object.key = text;
  object.change_token = found.document->digest;
  object.size = candidate.size;
  object.sha256 = std::move(candidate.sha256);
  object.ranges = candidate.shape == Shape::blob;
  if (candidate.shape == Shape::member && object.sha256.empty()) {
    const ImageFirmware firmware = scan_image(registry_, key.of.repository, candidate, scan_max_, call);
    object.size = firmware.size;
    object.sha256 = firmware.sha256;
    if (!firmware.metadata.version.empty()) {
      // The file beside the bytes knows better than the tag.
      std::erase_if(candidate.metadata,
                    [&](const auto& one) { return one.first == "version" && one.second == key.of.tag; });
      const bool has_version = std::any_of(candidate.metadata.begin(), candidate.metadata.end(),
                                           [](const auto& one) { return one.first == "version"; });
      if (!has_version) candidate.metadata.emplace_back("version", firmware.metadata.version);
    }
    candidate.metadata.emplace_back("sha256", firmware.sha256);
  }
  object.metadata = std::move(candidate.metadata);
  return object;
}

}  // namespace otagate::oci
