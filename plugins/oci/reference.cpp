#include "oci/reference.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"

namespace otagate::oci {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool word(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; }
bool tag_char(char c) { return word(c) || c == '.' || c == '-'; }
bool hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

constexpr std::string_view kAlgorithm = "sha256:";

// One part between slashes: runs of a-z and 0-9, joined by ".", "_", "__" or any number of "-".
bool valid_component(std::string_view text) {
  if (text.empty() || !lower_or_digit(text.front()) || !lower_or_digit(text.back())) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (lower_or_digit(text[i])) {
      ++i;
      continue;
    }
    const std::size_t end = static_cast<std::size_t>(
        std::find_if(text.begin() + static_cast<std::ptrdiff_t>(i), text.end(), lower_or_digit) -
        text.begin());
    const std::string_view joint = text.substr(i, end - i);
    const bool dashes = joint.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && joint != "." && joint != "_" && joint != "__") return false;
    i = end;
  }
  return true;
}

bool showable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// repository[:tag][@digest]; nullopt with what is wrong in `why`.
std::optional<Reference> read(std::string_view text, std::string& why) {
  Reference out;
  const std::size_t at = text.find('@');
  const std::string_view name = text.substr(0, at);
  if (at != std::string_view::npos) {
    out.digest = text.substr(at + 1);
    if (!valid_digest(out.digest)) {
      why = "after '@' comes a digest: sha256: and 64 hex digits in lower case";
      return std::nullopt;
    }
  }
  const std::size_t colon = name.find(':');
  out.repository = name.substr(0, colon);
  if (!valid_repository(out.repository)) {
    why = "a repository is lower-case words such as 'vendor/firmware', without the registry's host";
    return std::nullopt;
  }
  if (colon != std::string_view::npos) {
    out.tag = name.substr(colon + 1);
    if (!valid_tag(out.tag)) {
      why = "a tag has 1 to 128 letters, digits, '_', '.' and '-', and begins with none of the last two";
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

bool valid_repository(std::string_view text) {
  if (text.empty() || text.size() > kMaxRepository) return false;
  while (true) {
    const std::size_t slash = text.find('/');
    if (!valid_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool valid_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTag && word(text.front()) &&
         std::all_of(text.begin(), text.end(), tag_char);
}

bool valid_digest(std::string_view text) {
  return text.size() == kAlgorithm.size() + 64 && text.starts_with(kAlgorithm) &&
         std::all_of(text.begin() + kAlgorithm.size(), text.end(), hex);
}

std::string_view digest_hex(std::string_view digest) { return digest.substr(kAlgorithm.size()); }

std::string sha256_of(std::string_view checksum) {
  if (checksum.starts_with(kAlgorithm)) checksum.remove_prefix(kAlgorithm.size());
  std::string out(checksum.substr(0, 65));
  for (char& c : out) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
  return out.size() == 64 && std::all_of(out.begin(), out.end(), hex) ? out : std::string();
}

bool is_referrers_tag(std::string_view tag) {
  constexpr std::string_view kStart = "sha256-";
  if (!tag.starts_with(kStart) || tag.size() < kStart.size() + 64) return false;
  const std::string_view digits = tag.substr(kStart.size(), 64);
  return std::all_of(digits.begin(), digits.end(), hex) &&
         (tag.size() == kStart.size() + 64 || tag[kStart.size() + 64] == '.');
}

std::string referrers_tag(std::string_view digest) { return "sha256-" + std::string(digest_hex(digest)); }

common::Outcome<Reference> parse_reference(std::string_view text) {
  std::string why;
  std::optional<Reference> out = read(text, why);
  if (!out) return common::fail(OTAGATE_INVALID, "'" + common::printable(text, 200) + "': " + why);
  return std::move(*out);
}

std::string to_string(const Key& key) {
  std::string out = key.of.repository;
  if (!key.of.tag.empty()) out.append(":").append(key.of.tag);
  if (!key.of.digest.empty()) out.append("@").append(key.of.digest);
  if (!key.variant.empty()) out.append("#").append(key.variant);
  if (!key.file.empty()) out.append("/").append(key.file);
  return out;
}

std::optional<Key> parse_key(std::string_view text) {
  if (text.size() > kMaxKey) return std::nullopt;
  // Before the first ':' or '@' slashes belong to the repository, after it they begin the file.
  const std::size_t name_end = text.find_first_of(":@");
  if (name_end == std::string_view::npos) return std::nullopt;
  Key out;
  if (const std::size_t slash = text.find('/', name_end); slash != std::string_view::npos) {
    out.file = text.substr(slash + 1);
    if (out.file.empty() || !showable(out.file)) return std::nullopt;
    text = text.substr(0, slash);
  }
  if (const std::size_t hash = text.find('#', name_end); hash != std::string_view::npos) {
    out.variant = text.substr(hash + 1);
    if (out.variant.empty() || !std::all_of(out.variant.begin(), out.variant.end(), tag_char)) {
      return std::nullopt;
    }
    text = text.substr(0, hash);
  }
  std::string why;
  std::optional<Reference> of = read(text, why);
  if (!of || of->manifest().empty()) return std::nullopt;
  out.of = std::move(*of);
  return out;
}

std::string as_variant(std::string_view text) {
  std::string out(text.substr(0, kMaxTag));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !tag_char(c); }, '-');
  return out;
}

std::string as_tag(std::string_view text) {
  std::string out(text.substr(0, kMaxTag));
  std::replace(out.begin(), out.end(), '+', '_');
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !tag_char(c); }, '-');
  if (!out.empty() && !word(out.front())) out.front() = '_';
  return out;
}

}  // namespace otagate::oci
