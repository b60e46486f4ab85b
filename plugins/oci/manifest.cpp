#include "oci/manifest.hpp"

#include <algorithm>

#include "common/http_client/url.hpp"
#include "oci/json.hpp"

namespace otagate::oci {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxMediaType = 255;
constexpr std::size_t kMaxDigest = 256;

tl::unexpected<common::Failure> refuse(const std::string& why) {
  return common::fail(OTAGATE_PERMANENT, "the manifest " + why);
}

Annotations read_annotations(const json::object& owner, std::string_view member) {
  Annotations out;
  const json::object* all = object_member(owner, member);
  if (!all) return out;
  for (const auto& [key, value] : *all) {
    if (out.size() == kMaxAnnotations) break;
    const std::string name(key.data(), key.size());
    std::string text = value.is_string() ? text_member(*all, name, kMaxAnnotation) : std::string();
    if (text.empty() || name.size() > kMaxAnnotationName || name.find('\0') != std::string::npos) continue;
    out.emplace(name, std::move(text));
  }
  return out;
}

std::optional<Descriptor> read_descriptor(const json::object& object) {
  Descriptor out;
  const auto size = size_member(object, "size");
  out.digest = text_member(object, "digest", kMaxDigest);
  if (!size || out.digest.empty()) return std::nullopt;
  out.size = *size;
  out.media_type = text_member(object, "mediaType", kMaxMediaType);
  out.artifact_type = text_member(object, "artifactType", kMaxMediaType);
  out.annotations = read_annotations(object, "annotations");
  if (const json::object* platform = object_member(object, "platform")) {
    out.platform = Platform{text_member(*platform, "os", 64), text_member(*platform, "architecture", 64),
                            text_member(*platform, "variant", 64)};
  }
  return out;
}

common::Outcome<std::vector<Descriptor>> read_descriptors(const json::array& array, std::size_t limit) {
  if (array.size() > limit) return refuse("lists more than " + std::to_string(limit) + " parts");
  std::vector<Descriptor> out;
  for (const json::value& value : array) {
    const json::object* object = value.if_object();
    std::optional<Descriptor> one = object ? read_descriptor(*object) : std::nullopt;
    if (!one) return refuse("lists a part without digest or size");
    out.push_back(std::move(*one));
  }
  return out;
}

bool index_type(std::string_view type) {
  return type == media_type::kIndex || type == media_type::kDockerList;
}
bool manifest_type(std::string_view type) {
  return type == media_type::kManifest || type == media_type::kDockerManifest;
}

std::string_view bare(std::string_view content_type) {
  std::string_view out = content_type.substr(0, content_type.find(';'));
  while (out.ends_with(' ')) out.remove_suffix(1);
  return out;
}

bool image_config(std::string_view type) {
  return type == media_type::kConfig || type == media_type::kDockerConfig;
}

}  // namespace

std::string accepted_media_types() {
  std::string out;
  for (const std::string_view one :
       {media_type::kManifest, media_type::kIndex, media_type::kDockerManifest, media_type::kDockerList}) {
    out.append(out.empty() ? "" : ", ").append(one);
  }
  return out;
}

bool Manifest::image() const { return !index && image_config(config.media_type); }

common::Outcome<Manifest> parse_manifest(std::string_view text, std::string_view content_type) {
  const auto document = parse_object(text);
  if (!document) return refuse("is no JSON object");
  const json::array* layers = array_member(*document, "layers");
  const json::array* manifests = array_member(*document, "manifests");
  if (layers && manifests) return refuse("is both an image's and an index");
  Manifest out;
  const std::string_view delivered = bare(content_type);
  out.media_type = text_member(*document, "mediaType", kMaxMediaType);
  const bool known = index_type(delivered) || manifest_type(delivered);
  if (!out.media_type.empty() && known && out.media_type != delivered) {
    return refuse("was delivered as " + common::printable(delivered, 100) + " and says it is " +
                  common::printable(out.media_type, 100));
  }
  if (out.media_type.empty()) out.media_type = delivered;
  if (size_member(*document, "schemaVersion") != 2u) {
    return refuse("is not of schema version 2: push it again with a current client");
  }
  if (manifests ? manifest_type(out.media_type) : index_type(out.media_type)) {
    return refuse("is not what its media type says");
  }
  out.annotations = read_annotations(*document, "annotations");
  out.artifact_type = text_member(*document, "artifactType", kMaxMediaType);
  if (manifests) {
    out.index = true;
    auto parts = read_descriptors(*manifests, kMaxManifests);
    if (!parts) return common::fail(std::move(parts.error()));
    out.manifests = std::move(*parts);
    return out;
  }
  if (!layers) return refuse("has neither layers nor manifests");
  auto parts = read_descriptors(*layers, kMaxLayers);
  if (!parts) return common::fail(std::move(parts.error()));
  out.layers = std::move(*parts);
  const json::object* config = object_member(*document, "config");
  std::optional<Descriptor> read = config ? read_descriptor(*config) : std::nullopt;
  if (!read) return refuse("has no config");
  out.config = std::move(*read);
  if (out.artifact_type.empty() && !out.image()) out.artifact_type = out.config.media_type;
  return out;
}

common::Outcome<Annotations> parse_image_labels(std::string_view text) {
  const auto document = parse_object(text);
  if (!document) return common::fail(OTAGATE_PERMANENT, "the image's configuration is no JSON object");
  const json::object* config = object_member(*document, "config");
  return config ? read_annotations(*config, "Labels") : Annotations();
}

}  // namespace otagate::oci
