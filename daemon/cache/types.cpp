#include "cache/types.hpp"

#include <span>

namespace otagate::cache {

std::string FillKey::id() const {
  Sha256 hash;
  for (const std::string* part : {&store, &object, &change_token}) {
    const std::uint64_t length = part->size();  // lengths keep ("a","bc") apart from ("ab","c")
    hash.update(std::as_bytes(std::span(&length, 1)));
    hash.update(*part);
  }
  if (expected) hash.update(std::span<const std::byte>(expected->bytes));
  return hash.finish().hex().substr(0, 32);
}

std::string_view to_string(VerifyLevel level) {
  switch (level) {
    case VerifyLevel::none: return "none";
    case VerifyLevel::length: return "length";
    case VerifyLevel::format: return "format";
    case VerifyLevel::digest: return "digest";
    case VerifyLevel::signature: return "signature";
  }
  return "none";
}

std::string_view to_string(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::fill_started: return "fill_started";
    case Event::Kind::fill_completed: return "fill_completed";
    case Event::Kind::fill_failed: return "fill_failed";
    case Event::Kind::fill_rejected: return "fill_rejected";
    case Event::Kind::fill_changed: return "fill_changed";
    case Event::Kind::chunk_refetched: return "chunk_refetched";
    case Event::Kind::no_space: return "no_space";
    case Event::Kind::blob_adopted: return "blob_adopted";
    case Event::Kind::blob_evicted: return "blob_evicted";
    case Event::Kind::blob_quarantined: return "blob_quarantined";
    case Event::Kind::blob_verified: return "blob_verified";
    case Event::Kind::blob_lost: return "blob_lost";
  }
  return "unknown";
}

}  // namespace otagate::cache
