#include "oci/selection.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"

namespace otagate::oci {
namespace {

constexpr std::size_t kMaxMetadata = 32;

const std::string* find(const Annotations* all, std::string_view key) {
  if (!all) return nullptr;
  const auto found = all->find(std::string(key));
  return found == all->end() || found->second.empty() ? nullptr : &found->second;
}

bool has_prefix(const Annotations& all) {
  const auto first = all.lower_bound(std::string(kPrefix));
  return first != all.end() && first->first.starts_with(kPrefix);
}

bool has(const Pairs& pairs, std::string_view key) {
  return std::any_of(pairs.begin(), pairs.end(), [&](const auto& one) { return one.first == key; });
}

bool packed_type(std::string_view media_type) {
  return media_type.find(".tar") != std::string_view::npos || media_type.ends_with("+gzip") ||
         media_type.ends_with("+zstd");
}

// A layer whose bytes are a file: it is named, and not packed.
bool named_file(const Descriptor& layer) {
  const std::string* unpack = find(&layer.annotations, kUnpackAnnotation);
  return find(&layer.annotations, kTitleAnnotation) && !(unpack && *unpack == "true");
}

// A title as it can stand in a key: a path without a way out of it.
std::string file_of(const Descriptor& layer) {
  const std::string* title = find(&layer.annotations, kTitleAnnotation);
  std::string out = title ? common::printable(*title, 255) : "";
  while (out.starts_with('/')) out.erase(0, 1);
  return out.empty() ? std::string(layer.digest.substr(0, 19)) : out;
}

// Sources of annotations, the closest to the bytes first.
class Said {
 public:
  Said(const Descriptor* layer, const Manifest& manifest, const Surroundings& around)
      : sources_{layer ? &layer->annotations : nullptr, &manifest.annotations,
                 around.descriptor ? &around.descriptor->annotations : nullptr, around.index, around.labels} {
  }

  Pairs with_prefix() const {
    Pairs out;
    for (const Annotations* source : sources_) {
      if (!source) continue;
      for (auto it = source->lower_bound(std::string(kPrefix));
           it != source->end() && it->first.starts_with(kPrefix); ++it) {
        const std::string key = it->first.substr(kPrefix.size());
        if (!key.empty() && out.size() < kMaxMetadata && !has(out, key)) out.emplace_back(key, it->second);
      }
    }
    return out;
  }
  const std::string* value(std::string_view key) const {
    for (const Annotations* source : sources_) {
      if (const std::string* found = find(source, key)) return found;
    }
    return nullptr;
  }

 private:
  const Annotations* sources_[5];
};

// `version` is what a metadata file beside the bytes says, or empty; `several`: the manifest holds more
// files, so the repository's name cannot be that of each.
Pairs metadata_of(const Said& said, const Surroundings& around, std::string_view version, bool several) {
  Pairs out = said.with_prefix();
  if (!has(out, "version")) {
    if (!version.empty()) {
      out.emplace_back("version", version);
    } else if (const std::string* annotated = said.value(kVersionAnnotation)) {
      out.emplace_back("version", *annotated);
    } else if (around.names && !several && !around.of.tag.empty()) {
      out.emplace_back("version", around.of.tag);
    }
  }
  if (!has(out, "name") && around.names && !several) {
    out.emplace_back("name", last_part(around.of.repository));
  }
  if (!has(out, "type") && around.descriptor) {
    if (std::string type = type_of(*around.descriptor); !type.empty())
      out.emplace_back("type", std::move(type));
  }
  return out;
}

Candidate unusable(std::string why) {
  Candidate out;
  out.why = std::move(why);
  return out;
}

Candidate blob(const Descriptor& layer, const Manifest& manifest, const Surroundings& around, bool several) {
  if (!valid_digest(layer.digest)) {
    return unusable("its layer has the digest " + common::printable(layer.digest, 80) +
                    ": only sha256 is supported");
  }
  Candidate out;
  out.shape = Shape::blob;
  out.layer = layer;
  out.size = layer.size;
  out.sha256 = digest_hex(layer.digest);
  out.metadata =
      metadata_of(Said(&layer, manifest, around), around, {}, several && !has_prefix(layer.annotations));
  return out;
}

std::vector<Candidate> blobs(const std::vector<const Descriptor*>& layers, const Manifest& manifest,
                             const Surroundings& around) {
  const bool several = layers.size() > 1;
  std::vector<Candidate> out;
  for (const Descriptor* layer : layers) {
    Candidate one = blob(*layer, manifest, around, several);
    if (several) one.file = file_of(*layer);
    const bool taken =
        std::any_of(out.begin(), out.end(), [&](const Candidate& other) { return other.file == one.file; });
    if (taken && one.shape == Shape::blob) one.file += "-" + one.sha256.substr(0, 12);
    out.push_back(std::move(one));
  }
  return out;
}

// Drogue's older layouts: the file `firmware` beside a label that describes it, or firmware.bin and
// firmware.json in the image's root.
std::vector<Candidate> in_image(const Manifest& manifest, const Surroundings& around) {
  Candidate out;
  for (const Descriptor& layer : manifest.layers) {
    const bool readable = layer.media_type.ends_with("tar") || layer.media_type.ends_with("gzip") ||
                          layer.media_type.ends_with("zstd");
    if (!readable || !valid_digest(layer.digest)) continue;
    out.layers.insert(out.layers.begin(), layer);
  }
  if (out.layers.empty()) return {unusable("it is a container image without a layer that can be read")};
  out.shape = Shape::member;
  DrogueMetadata label;
  if (const std::string* text = find(around.labels, kDrogueLabel)) {
    auto parsed = parse_drogue_metadata(*text);
    if (!parsed) return {unusable("its label " + std::string(kDrogueLabel) + ": " + parsed.error().message)};
    label = std::move(*parsed);
    out.names = {"firmware", "firmware.bin"};
  } else {
    out.names = {"firmware.bin", "firmware"};
  }
  out.size = label.size.value_or(OTAGATE_SIZE_UNKNOWN);
  out.sha256 = label.sha256;
  out.metadata = metadata_of(Said(nullptr, manifest, around), around, label.version, false);
  return {std::move(out)};
}

}  // namespace

std::string type_of(const Descriptor& descriptor) {
  if (const std::string* type = find(&descriptor.annotations, "io.otagate.type")) return *type;
  if (!descriptor.platform) return {};
  std::string out;
  for (const std::string& part :
       {descriptor.platform->os, descriptor.platform->architecture, descriptor.platform->variant}) {
    if (part.empty() || part == "unknown") continue;
    out += (out.empty() ? "" : "-") + part;
  }
  return out.empty() ? out : as_variant(out);
}

bool describes_another(const Descriptor& descriptor) {
  if (find(&descriptor.annotations, "vnd.docker.reference.type")) return true;
  return descriptor.platform && descriptor.platform->os == "unknown" &&
         descriptor.platform->architecture == "unknown";
}

std::string_view last_part(std::string_view repository) {
  const std::size_t slash = repository.rfind('/');
  return slash == std::string_view::npos ? repository : repository.substr(slash + 1);
}

std::vector<Candidate> choose(const Manifest& manifest, const Surroundings& around) {
  std::vector<const Descriptor*> marked;
  std::vector<const Descriptor*> files;
  const Descriptor* bytes = nullptr;
  for (const Descriptor& layer : manifest.layers) {
    if (has_prefix(layer.annotations)) marked.push_back(&layer);
    if (named_file(layer)) files.push_back(&layer);
    if (!bytes && layer.media_type == media_type::kBytes) bytes = &layer;
  }
  if (!marked.empty()) return blobs(marked, manifest, around);
  if (bytes) return blobs({bytes}, manifest, around);
  if (manifest.image() && files.empty()) return in_image(manifest, around);
  if (!files.empty()) return blobs(files, manifest, around);
  if (manifest.layers.size() == 1 && manifest.layers.front().media_type != media_type::kEmpty &&
      !packed_type(manifest.layers.front().media_type)) {
    return blobs({&manifest.layers.front()}, manifest, around);
  }
  return {unusable("no layer of it is firmware: none has an annotation " + std::string(kPrefix) +
                   "*, the media type " + std::string(media_type::kBytes) + " or a file's name")};
}

}  // namespace otagate::oci
