// Firmware pushed as an artifact: the bytes are its one layer, annotations say what it is.
#include <boost/json.hpp>

#include "common/http_client/url.hpp"
#include "oci/oci_store.hpp"
#include "oci/sha256.hpp"

namespace otagate::oci {
namespace {

namespace json = boost::json;
using sdk::Failure;

constexpr std::string_view kEmptyConfig = "{}";

std::string value_of(const sdk::Pairs& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

// A tag that says version and type, and the name where the repository does not.
std::string tag_for(const sdk::PublishRequest& request, std::string_view repository) {
  const std::string name = value_of(request.metadata, "name");
  const std::string version = value_of(request.metadata, "version");
  const std::string type = value_of(request.metadata, "type");
  const std::string digest(request.sha256.substr(0, 12));
  if (version.empty()) return "blob-" + digest;
  std::string tag = name.empty() || name == last_part(repository) ? version : name + "-" + version;
  if (!type.empty()) tag += "-" + type;
  const std::string out = as_tag(tag);
  // What does not fit, or looks like the tags of signatures, is told apart by the digest.
  if (tag.size() <= kMaxTag && !is_referrers_tag(out)) return out;
  return out.substr(0, kMaxTag - 13) + "-" + digest;
}

json::object descriptor(std::string_view type, std::string_view digest, std::uint64_t size) {
  json::object out;
  out["mediaType"] = json::string_view(type.data(), type.size());
  out["digest"] = json::string_view(digest.data(), digest.size());
  out["size"] = size;
  return out;
}

// The same input gives the same bytes, so that publishing twice gives one manifest.
std::string manifest_for(const sdk::PublishRequest& request) {
  const std::string name = value_of(request.metadata, "name");
  const std::string version = value_of(request.metadata, "version");
  json::object layer = descriptor(media_type::kBytes, "sha256:" + std::string(request.sha256), request.size);
  const std::string title = (name.empty() ? std::string("firmware") : name) +
                            (version.empty() ? std::string() : "-" + version) + ".bin";
  layer["annotations"] = json::object{{std::string(kTitleAnnotation), title}};
  json::object annotations;
  if (!version.empty()) annotations[std::string(kVersionAnnotation)] = version;
  for (const auto& [key, value] : request.metadata) annotations[std::string(kPrefix) + key] = value;
  json::object out;
  out["schemaVersion"] = 2;
  out["mediaType"] = json::string_view(media_type::kManifest.data(), media_type::kManifest.size());
  out["artifactType"] = json::string_view(media_type::kFirmware.data(), media_type::kFirmware.size());
  out["config"] = descriptor(media_type::kEmpty, digest_of(kEmptyConfig), kEmptyConfig.size());
  out["layers"] = json::array{std::move(layer)};
  out["annotations"] = std::move(annotations);
  return json::serialize(out);
}

void check_metadata(const sdk::Pairs& metadata) {
  for (const auto& [name, value] : metadata) {
    if (name.empty() || name.size() > 100 || value.size() > kMaxAnnotation) {
      throw Failure(OTAGATE_INVALID, "metadata '" + common::printable(name, 60) +
                                         "' cannot be kept: at most 100 bytes of name and 1,024 of value");
    }
  }
}

}  // namespace

sdk::Object OciStore::publish(const sdk::PublishRequest& request, sdk::Call& call) {
  if (!publish_)
    throw Failure(OTAGATE_UNSUPPORTED, "this store may not be written to; set 'publish' to true");
  const std::string digest = "sha256:" + std::string(request.sha256);
  if (!valid_digest(digest)) throw Failure(OTAGATE_INVALID, "publishing needs the SHA-256 of the bytes");
  check_metadata(request.metadata);
  Key key{{publish_repository_, {}, {}}, {}, {}};
  if (request.key.empty()) {
    key.of.tag = tag_for(request, publish_repository_);
  } else {
    const std::optional<Key> asked = parse_key(request.key);
    if (!asked || asked->of.tag.empty() || !asked->of.digest.empty() || !asked->variant.empty() ||
        !asked->file.empty() || asked->of.repository != publish_repository_) {
      throw Failure(OTAGATE_INVALID, "a key to publish under is '" + publish_repository_ +
                                         ":TAG'; another repository is set with 'publish_repository'");
    }
    key = *asked;
  }
  const std::string& repository = key.of.repository;
  const Cancelled cancelled = [&call] { return call.stopped(); };
  const std::string manifest = manifest_for(request);
  const std::string made = digest_of(manifest);
  // A tag of our own making is never taken from what others published under it.
  const std::optional<std::string> there = registry_.resolve(repository, key.of.tag, cancelled);
  if (there && *there != made && request.key.empty()) {
    throw Failure(OTAGATE_PERMANENT, to_string(key) +
                                         " is there and is something else: publish under another "
                                         "version, or delete that tag");
  }
  const std::string config = digest_of(kEmptyConfig);
  if (!registry_.has_blob(repository, config, cancelled)) {
    registry_.put_blob(repository, config, {kEmptyConfig, -1, kEmptyConfig.size()}, cancelled);
  }
  if (!registry_.has_blob(repository, digest, cancelled)) {
    registry_.put_blob(repository, digest, {{}, request.fd, request.size}, cancelled);
  }
  registry_.put_manifest(repository, key.of.tag, manifest, media_type::kManifest, cancelled);
  sdk::Object object;
  object.key = to_string(key);
  object.change_token = made;
  object.sha256 = request.sha256;
  object.size = request.size;
  object.metadata = request.metadata;
  return object;
}

}  // namespace otagate::oci
