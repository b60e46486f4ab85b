#include "web/walk.hpp"

#include <algorithm>

#include "common/object_store/store_calls.hpp"
#include "web/validator.hpp"

namespace otagate::web {
namespace {

constexpr std::size_t kMaxDocuments = 10'000;

void add(sdk::Pairs& metadata, const char* name, const std::string& value) {
  if (!value.empty()) metadata.emplace_back(name, value);
}

Document::Item make_item(Entry entry, std::string key) {
  Document::Item item;
  sdk::Object& object = item.object;
  object.key = std::move(key);
  object.size = entry.size;
  object.sha256 = entry.sha256;
  object.modified_ms = entry.modified > 0 && entry.modified < INT64_MAX / 1000 ? entry.modified * 1000 : 0;
  add(object.metadata, "name", entry.name);
  add(object.metadata, "version", entry.version);
  add(object.metadata, "type", entry.type);
  add(object.metadata, "sha256", entry.sha256);
  add(object.metadata, "kind", entry.kind);
  add(object.metadata, "dependency", entry.dependency);
  if (!entry.sha256.empty()) {
    object.change_token = digest_token(entry.sha256, entry.size);
  } else if (entry.modified > 0) {
    object.change_token = token_of(Validator{{}, entry.modified, entry.size});
  } else {
    item.entry = sdk::pack(object.metadata) + std::to_string(entry.size);
  }
  return item;
}

void skip(Page& page, std::string reason) {
  ++page.skipped;
  if (page.reasons.size() < 5) page.reasons.push_back(std::move(reason));
}

}  // namespace

Document make_document(Page& page, std::string url, const Place& place) {
  Document document;
  document.url = std::move(url);
  document.format = page.format;
  for (Entry& entry : page.entries) {
    common::Outcome<std::string> target =
        page.format == Format::folder
            ? common::Outcome<std::string>(child_url(document.url, entry.target, entry.directory))
            : place.resolve(document.url, entry.target);
    if (!target) {
      skip(page, target.error().message);
      continue;
    }
    if (entry.directory) {
      document.more.push_back(std::move(*target));
      continue;
    }
    std::string key = place.key_of(*target);
    if (!common::usable_key(key)) {
      skip(page, "a key of more than 1,024 bytes");
      continue;
    }
    document.items.push_back(make_item(std::move(entry), std::move(key)));
  }
  if (!page.next.empty()) document.more.push_back(page.next);
  return document;
}

Walk::Walk(std::string first_url, Format format, unsigned max_depth)
    : format_(format), max_depth_(max_depth) {
  known_urls_.insert(first_url);
  todo_.push_back({std::move(first_url), 0});
}

const Document::Item* Walk::next(Position& at) const {
  while (at.document < done_.size()) {
    const Done& done = done_[at.document];
    while (at.item < done.document->items.size()) {
      const std::size_t item = at.item++;
      if (done.wanted[item]) return &done.document->items[item];
    }
    ++at.document;
    at.item = 0;
  }
  return nullptr;
}

bool Walk::ended(const Position& at) const { return todo_.empty() && at.document >= done_.size(); }

void Walk::advance(const Fetch& fetch) {
  if (todo_.empty()) return;
  const Todo here = todo_.front();
  DocumentPtr document = fetch(here.url, format_);
  todo_.pop_front();
  if (!document) return;
  format_ = document->format;

  Done done{document, std::vector<bool>(document->items.size())};
  for (std::size_t i = 0; i < document->items.size(); ++i) {
    done.wanted[i] = keys_.insert(document->items[i].object.key).second;
  }
  done_.push_back(std::move(done));
  if (keys_.size() > kMaxEntries) {
    throw sdk::Failure(OTAGATE_PERMANENT,
                       "the listing has more than 100,000 objects: make it several stores");
  }
  // Folders of an index do not exist: its pages are a chain, however long.
  const unsigned depth = document->format == Format::folder ? here.depth + 1 : 0;
  if (depth > max_depth_) return;
  for (const std::string& url : document->more) {
    if (!known_urls_.insert(url).second) {
      if (document->format == Format::folder) continue;
      throw sdk::Failure(OTAGATE_PERMANENT, "the pages of the index go in a circle: check its 'next'");
    }
    if (known_urls_.size() > kMaxDocuments) {
      throw sdk::Failure(OTAGATE_PERMANENT,
                         "the listing has more than 10,000 pages or folders: make it several stores");
    }
    todo_.push_back({url, depth});
  }
}

std::map<std::string, DocumentPtr> Walk::documents() const {
  std::map<std::string, DocumentPtr> out;
  for (const Done& done : done_) out.emplace(done.document->url, done.document);
  return out;
}

}  // namespace otagate::web
