#include "firmware/metadata.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "firmware/json_text.hpp"
#include "firmware/version.hpp"

namespace otagate::firmware {

namespace {

constexpr std::string_view kJson = ".json";

std::string_view file_name(std::string_view key) {
  const std::size_t slash = key.rfind('/');
  return slash == std::string_view::npos ? key : key.substr(slash + 1);
}

// "a/x.bin" -> "a/x"; what follows the dot must look like an extension, so that "x-1.2.3" keeps its 3.
std::string_view without_extension(std::string_view key) {
  const std::string_view file = file_name(key);
  const std::size_t dot = file.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return key;
  const std::string_view extension = file.substr(dot + 1);
  const auto alphanumeric = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const bool looks_like_one = !extension.empty() && extension.size() <= 8 &&
                              std::isalpha(static_cast<unsigned char>(extension.front())) &&
                              std::all_of(extension.begin(), extension.end(), alphanumeric);
  return looks_like_one ? key.substr(0, key.size() - extension.size() - 1) : key;
}

Result<void> set_digest(Claim& claim, std::string_view key, const std::string& text) {
  const std::optional<Digest> digest = Digest::parse(text);
  if (!digest) return fail(Code::invalid, "\"" + std::string(key) + "\" is not a SHA-256 of 64 hex digits");
  if (claim.sha256 && *claim.sha256 != *digest)
    return fail(Code::invalid, "\"sha256\" and \"checksum\" differ");
  claim.sha256 = digest;
  return {};
}

Result<void> set_kind(Claim& claim, const std::string& text) {
  claim.kind = parse_kind(text);
  if (!claim.kind)
    return fail(Code::invalid, "\"kind\" is not known; write \"firmware\", \"software\" or \"patch\"");
  return {};
}

// The member of a claim that a text key fills, nullptr for others.
std::optional<std::string>* text_field(Claim& claim, std::string_view key) {
  if (key == "name") return &claim.name;
  if (key == "version") return &claim.version;
  if (key == "type") return &claim.type;
  if (key == "dependency") return &claim.dependency;
  return nullptr;
}

Result<void> set(Claim& claim, std::string_view key, std::string text) {
  if (key == "sha256" || key == "checksum") return set_digest(claim, key, text);
  if (key == "kind") return set_kind(claim, text);
  if (std::optional<std::string>* field = text_field(claim, key)) *field = std::move(text);
  return {};
}

}  // namespace

Result<Claim> claim_from_json(const JsonObject& object) {
  Claim claim;
  for (const char* key : {"name", "version", "type", "sha256", "checksum", "kind", "dependency"}) {
    Result<std::optional<std::string>> value = object.text(key);
    if (!value) return fail(std::move(value).error());
    if (!*value) continue;
    if (Result<void> done = set(claim, key, std::move(**value)); !done) return fail(std::move(done).error());
  }
  Result<std::optional<std::uint64_t>> size = object.size("size");
  if (!size) return fail(std::move(size).error());
  claim.size = *size;
  return claim;
}

Result<Claim> parse_sidecar(std::string_view text) {
  if (text.size() > kMaxSidecar) return fail(Code::invalid, "the sidecar is larger than 64 KiB");
  const Result<JsonObject> object = JsonObject::parse(text);
  if (!object) return fail(Error(object.error()).with_context("the sidecar"));
  Result<Claim> claim = claim_from_json(*object);
  if (!claim) return fail(std::move(claim).error().with_context("the sidecar"));
  return claim;
}

bool is_sidecar_key(std::string_view key) {
  return file_name(key).size() > kJson.size() && key.ends_with(kJson);
}

std::vector<std::string> sidecar_keys_for(std::string_view image_key) {
  if (is_sidecar_key(image_key) || file_name(image_key).empty()) return {};
  std::vector<std::string> keys{std::string(image_key) + std::string(kJson)};
  const std::string_view bare = without_extension(image_key);
  if (bare.size() != image_key.size()) keys.push_back(std::string(bare) + std::string(kJson));
  return keys;
}

bool may_describe(std::string_view sidecar_key, std::string_view image_key) {
  const std::vector<std::string> keys = sidecar_keys_for(image_key);
  return std::find(keys.begin(), keys.end(), sidecar_key) != keys.end();
}

std::string stem(std::string_view image_key) { return std::string(file_name(without_extension(image_key))); }

Result<Claim> parse_object_metadata(const std::vector<std::pair<std::string, std::string>>& metadata) {
  Claim claim;
  for (const auto& [key, value] : metadata) {
    std::string lower(key);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    // "checksum" is Drogue's word; in a bucket it belongs to others.
    if (lower == "checksum" || value.empty()) continue;
    if (Result<void> done = set(claim, lower, value); !done)
      return fail(std::move(done.error()).with_context("the object's metadata"));
  }
  return claim;
}

namespace {

struct Source {
  const char* words;
  const Claim* claim;
};

class Merger {
 public:
  explicit Merger(const Sources& sources)
      : sources_(sources),
        all_{{"the object's metadata", sources.metadata},
             {"the index", sources.index},
             {"the sidecar", sources.sidecar},
             {"the image", sources.image},
             {"the path pattern", sources.pattern}} {}

  Result<Merged> run() {
    Merged merged;
    if (Result<void> done = identity(merged.identity); !done) return fail(std::move(done.error()));
    if (Result<void> done = expected(&Claim::sha256, "a SHA-256", sources_.object_sha256, merged.sha256,
                                     [](const Digest& digest) { return digest.hex(); });
        !done)
      return fail(std::move(done.error()));
    if (Result<void> done = expected(&Claim::size, "a size", sources_.object_size, merged.size,
                                     [](std::uint64_t size) { return std::to_string(size) + " bytes"; });
        !done)
      return fail(std::move(done.error()));
    return merged;
  }

 private:
  template <class T>
  const T* first(std::optional<T> Claim::*member) const {
    for (const Source& source : all_)
      if (source.claim && source.claim->*member) return &*(source.claim->*member);
    return nullptr;
  }

  Result<void> identity(Identity& out) const {
    if (const std::string* name = first_name())
      out.name = *name;
    else if (sources_.sidecar)
      out.name = stem(sources_.key);
    if (out.name.empty()) return reject("no source gives a name" + hint());
    if (const std::string* version = first(&Claim::version)) out.version = normalise(*version);
    if (out.version.empty()) return reject("no source gives a version" + hint());
    if (const std::string* type = first(&Claim::type)) out.type = *type;
    if (const Kind* kind = first(&Claim::kind)) out.kind = *kind;
    if (const std::string* dependency = first(&Claim::dependency)) out.dependency = normalise(*dependency);
    if (Result<void> good = check_name(out.name); !good) return good;
    if (Result<void> good = check_version(out.version); !good) return good;
    if (!out.type.empty())
      if (Result<void> good = check_type(out.type); !good) return good;
    if (out.kind == Kind::patch && out.dependency.empty())
      return reject("it is a patch, and no source gives the version it depends on; add \"dependency\"");
    if (!out.dependency.empty())
      if (Result<void> good = check_version(out.dependency); !good)
        return fail(std::move(good.error()).with_context("dependency"));
    return {};
  }

  // A sidecar without a name means its stem, which is closer to what was meant than the image's own name.
  const std::string* first_name() const {
    for (const Source& source : all_)
      if (source.claim && !(source.claim == sources_.image && sources_.sidecar) && source.claim->name &&
          !source.claim->name->empty())
        return &*source.claim->name;
    return nullptr;
  }

  // All that say anything must say the same, the store included.
  template <class T, class Show>
  Result<void> expected(std::optional<T> Claim::*member, const char* what, const std::optional<T>& object,
                        std::optional<T>& out, Show show) const {
    const char* who = "the store";
    out = object;
    for (const Source& source : all_) {
      if (!source.claim || !(source.claim->*member)) continue;
      const T& value = *(source.claim->*member);
      if (out && *out != value)
        return reject(std::string(source.words) + " gives " + what + " of " + show(value) + ", but " + who +
                      " " + show(*out));
      if (!out) who = source.words;
      out = value;
    }
    return {};
  }

  std::string hint() const {
    const std::vector<std::string> sidecars = sidecar_keys_for(sources_.key);
    std::string text = "; set a pattern that matches its key";
    if (!sidecars.empty()) text += ", or add the sidecar " + std::string(file_name(sidecars.front()));
    return text;
  }

  static tl::unexpected<Error> reject(std::string reason) { return fail(Code::rejected, std::move(reason)); }

  const Sources& sources_;
  const Source all_[5];
};

}  // namespace

Result<Merged> merge(const Sources& sources) { return Merger(sources).run(); }

}  // namespace otagate::firmware
