#include "gateway/interpret.hpp"

#include <algorithm>
#include <span>

#include "core/log.hpp"

namespace otagate::gateway {

namespace {

// What a vendor's tree usually looks like: a folder per device type, or none.
const char* const kDefaultPatterns[] = {"{type}/{name}-{version}.*", "{type}/{name}_{version}.*",
                                        "{name}-{version}.*", "{name}_{version}.*"};

firmware::Claim from_pattern(firmware::PatternMatch match) {
  firmware::Claim claim;
  claim.name = std::move(match.name);
  claim.version = std::move(match.version);
  claim.type = std::move(match.type);
  return claim;
}

std::optional<std::string> unless_empty(std::string text) {
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

Pairs unpack(std::string_view packed) {
  Pairs pairs;
  while (!packed.empty()) {
    const std::size_t key_end = packed.find('\0');
    if (key_end == std::string_view::npos) break;
    const std::size_t value_end = packed.find('\0', key_end + 1);
    if (value_end == std::string_view::npos) break;
    pairs.emplace_back(packed.substr(0, key_end), packed.substr(key_end + 1, value_end - key_end - 1));
    packed.remove_prefix(value_end + 1);
  }
  return pairs;
}

std::string pack(const Pairs& pairs) {
  std::string packed;
  for (const auto& [key, value] : pairs) {
    packed.append(key).push_back('\0');
    packed.append(value).push_back('\0');
  }
  return packed;
}

bool StoreIndexes::is_index(std::string_view key) const {
  return std::any_of(all.begin(), all.end(), [&](const One& one) {
    return key == one.config.firmware || key == one.config.versions;
  });
}

std::optional<firmware::Claim> StoreIndexes::claim(std::string_view key) const {
  for (const One& one : all) {
    if (auto claim = firmware::claim_from_index(one.firmware, one.versions, key)) return claim;
  }
  return std::nullopt;
}

Interpreter::Interpreter(const config::Store& store, bool local) : metadata_(store.metadata), local_(local) {
  const auto add = [&](std::string_view text) {
    auto pattern = firmware::Pattern::compile(text);
    if (pattern)
      patterns_.push_back(std::move(*pattern));
    else
      log("gateway").error("store {}: pattern {}: {}", store.name, text, pattern.error().message());
  };
  if (store.pattern.empty()) {
    for (const char* text : kDefaultPatterns) add(text);
  }
  for (const std::string& text : store.pattern) add(text);
}

Interpreted Interpreter::interpret(const state::Object& object, bool more_metadata,
                                   const StoreIndexes& indexes, const Lookups& lookups) const {
  Interpreted result{fail(Code::rejected, ""), firmware::Format::unknown};
  if (indexes.is_index(object.key)) {
    result.merged = fail(Code::rejected, "an index file");
    return result;
  }
  if (firmware::is_sidecar_key(object.key)) {
    result.merged = fail(Code::rejected, "a sidecar: it describes the image beside it");
    return result;
  }

  firmware::Claim metadata;
  if (metadata_ != config::MetadataUse::never) {
    auto claim = firmware::parse_object_metadata(unpack(object.metadata));
    if (!claim) {
      result.merged = fail(Error(Code::rejected, claim.error().message()));
      return result;
    }
    metadata = std::move(*claim);
  }
  const std::optional<firmware::Claim> index = indexes.claim(object.key);

  std::optional<firmware::Claim> sidecar;
  for (const std::string& key : firmware::sidecar_keys_for(object.key)) {
    if (indexes.is_index(key)) continue;
    auto text = lookups.sidecar(key);
    if (!text) {
      result.merged = fail(std::move(text).error().with_context("sidecar " + key));
      return result;
    }
    if (!*text) continue;
    auto claim = firmware::parse_sidecar(**text);
    if (!claim) {
      result.merged = fail(Error(Code::rejected, "sidecar " + key + ": " + claim.error().message()));
      return result;
    }
    sidecar = std::move(*claim);
    break;
  }

  std::optional<firmware::Claim> pattern;
  if (auto match = firmware::match_first(patterns_, object.key)) pattern = from_pattern(std::move(*match));

  const auto says = [&](std::optional<std::string> firmware::Claim::*member) {
    return (metadata.*member) || (index && (*index).*member) || (sidecar && (*sidecar).*member) ||
           (pattern && (*pattern).*member);
  };
  const bool unmatched = !says(&firmware::Claim::version);
  if (more_metadata && (metadata_ == config::MetadataUse::always ||
                        (metadata_ == config::MetadataUse::unmatched && unmatched))) {
    auto pairs = lookups.stat(object.key);
    if (!pairs) {
      result.merged = fail(std::move(pairs).error().with_context("metadata of " + object.key));
      return result;
    }
    auto claim = firmware::parse_object_metadata(*pairs);
    if (!claim) {
      result.merged = fail(Error(Code::rejected, claim.error().message()));
      return result;
    }
    metadata = std::move(*claim);
  }

  firmware::Claim image;
  if (local_ || !says(&firmware::Claim::version)) {
    auto head = lookups.head(object);
    if (!head) {
      result.merged = fail(std::move(head).error().with_context("reading the head of " + object.key));
      return result;
    }
    firmware::ImageInfo info = firmware::probe(std::as_bytes(std::span(head->data(), head->size())));
    result.format = info.format;
    image.name = unless_empty(std::move(info.name));
    image.version = unless_empty(std::move(info.version));
    image.type = unless_empty(std::move(info.type));
  }

  firmware::Sources sources;
  sources.key = object.key;
  sources.object_size = object.size;
  sources.object_sha256 = object.digest;
  sources.metadata = &metadata;
  if (index) sources.index = &*index;
  if (sidecar) sources.sidecar = &*sidecar;
  if (pattern) sources.pattern = &*pattern;
  sources.image = &image;
  result.merged = firmware::merge(sources);
  return result;
}

}  // namespace otagate::gateway
