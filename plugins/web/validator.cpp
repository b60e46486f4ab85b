#include "web/validator.hpp"

#include <algorithm>
#include <charconv>

#include "common/http_client/classify.hpp"
#include "common/object_store/ranges.hpp"
#include "common/object_store/text.hpp"

namespace otagate::web {
namespace {

constexpr std::size_t kMaxTag = 512;

std::string_view opaque(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  return etag;
}

bool well_formed(std::string_view etag) {
  const std::string_view tag = opaque(etag);
  if (tag.size() < 2 || tag.size() > kMaxTag || tag.front() != '"' || tag.back() != '"') return false;
  const std::string_view inner = tag.substr(1, tag.size() - 2);
  return std::none_of(inner.begin(), inner.end(),
                      [](unsigned char c) { return c <= 0x20 || c == '"' || c == 0x7f; });
}

std::string with_size(std::string token, std::uint64_t size) {
  return std::move(token) + "/" + (size == OTAGATE_SIZE_UNKNOWN ? "?" : std::to_string(size));
}

}  // namespace

bool strong(std::string_view etag) { return well_formed(etag) && etag.front() == '"'; }

Validator validator_of(const common::HttpHead& head, std::uint64_t size) {
  Validator out;
  if (const std::string* etag = head.find("etag"); etag && well_formed(*etag)) out.etag = *etag;
  if (const std::string* modified = head.find("last-modified")) {
    out.modified = std::max<std::int64_t>(common::parse_http_date(*modified).value_or(0), 0);
  }
  out.size = size;
  return out;
}

bool takes_ranges(const common::HttpHead& head) {
  const std::string* accept = head.find("accept-ranges");
  return accept && common::lower_case(*accept).find("bytes") != std::string::npos;
}

bool same(const Validator& one, const Validator& other) {
  if (!one.etag.empty() && !other.etag.empty() && opaque(one.etag) != opaque(other.etag)) return false;
  if (one.size != OTAGATE_SIZE_UNKNOWN && other.size != OTAGATE_SIZE_UNKNOWN && one.size != other.size)
    return false;
  // Servers behind one name may differ in times of the same bytes: a strong tag that fits is enough.
  const bool settled = strong(one.etag) && one.etag == other.etag;
  return settled || one.modified == 0 || other.modified == 0 || one.modified == other.modified;
}

std::string digest_token(std::string_view sha256, std::uint64_t size) {
  return with_size("sha256:" + std::string(sha256), size);
}

std::string token_of(const Validator& validator) {
  // A weak tag may stay while bytes change: the time is part of what it is compared with.
  if (strong(validator.etag)) return with_size("etag:" + validator.etag, validator.size);
  if (validator.modified > 0) {
    return with_size("date:" + std::to_string(validator.modified), validator.size);
  }
  return validator.etag.empty() ? std::string() : with_size("etag:" + validator.etag, validator.size);
}

std::string entry_token(std::string_view entry, std::uint64_t size) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a: tells edits apart, resists nobody
  for (const char c : entry) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return with_size("entry:" + std::to_string(hash), size);
}

std::optional<Validator> parse_token(std::string_view token) {
  const std::size_t colon = token.find(':');
  const std::size_t slash = token.rfind('/');
  if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon)
    return std::nullopt;
  const std::string_view kind = token.substr(0, colon);
  const std::string_view value = token.substr(colon + 1, slash - colon - 1);
  const std::string_view size = token.substr(slash + 1);
  const auto number = size == "?" ? OTAGATE_SIZE_UNKNOWN : common::parse_decimal(size);
  if (!number) return std::nullopt;
  Validator out;
  out.size = *number;
  if (kind == "etag") {
    if (!well_formed(value)) return std::nullopt;
    out.etag = value;
  } else if (kind == "date") {
    const auto time = common::parse_decimal(value);
    if (!time || *time == 0 || *time > INT64_MAX) return std::nullopt;
    out.modified = static_cast<std::int64_t>(*time);
  } else if (kind != "sha256" && kind != "entry") {
    return std::nullopt;
  }
  return out;
}

}  // namespace otagate::web
