// links: otagate_oci_parts
// What a registry sends: manifests and what is chosen from them, lists of tags, links, challenges, tokens,
// configurations. What comes out must keep its promises: usable keys, bounds, messages fit to show.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/http_client/url.hpp"
#include "oci/challenge.hpp"
#include "oci/docker_config.hpp"
#include "oci/documents.hpp"
#include "oci/listing.hpp"
#include "oci/manifest.hpp"
#include "oci/reference.hpp"
#include "oci/selection.hpp"

namespace {

using namespace otagate::oci;

void require(bool truth) {
  if (!truth) std::abort();
}

bool showable(std::string_view text) {
  return text.size() < 4000 &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void check_manifest(std::string_view text, std::string_view type) {
  const auto manifest = parse_manifest(text, type);
  if (!manifest) return require(showable(manifest.error().message));
  require(manifest->layers.size() <= kMaxLayers && manifest->manifests.size() <= kMaxManifests);
  const Annotations labels = parse_image_labels(text).value_or(Annotations());
  Surroundings around;
  around.of = {"vendor/fw", "1.0.0", {}};
  around.index = &manifest->annotations;
  around.labels = &labels;
  if (!manifest->manifests.empty()) around.descriptor = &manifest->manifests.front();
  if (manifest->index) return;
  const auto all = choose(*manifest, around);
  require(!all.empty());
  for (const Candidate& one : all) {
    require(one.shape != Shape::unusable || (!one.why.empty() && showable(one.why)));
    require(one.sha256.empty() || one.sha256.size() == 64);
    require(one.shape != Shape::blob || valid_digest(one.layer.digest));
    for (const Descriptor& layer : one.layers) require(valid_digest(layer.digest));
    std::size_t bytes = 0;
    for (const auto& [key, value] : one.metadata) {
      require(key.find('\0') == std::string::npos && value.find('\0') == std::string::npos);
      bytes += key.size() + value.size() + 2;
    }
    require(bytes < 64 * 1024);
    const std::string key = to_string(Key{around.of, {}, one.file});
    if (key.size() <= kMaxKey) require(parse_key(key) == Key{around.of, {}, one.file});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_manifest(text, "");
  check_manifest(text, media_type::kIndex);
  check_manifest(text, media_type::kDockerManifest);

  if (const auto tags = parse_tags(text)) {
    for (const std::string& tag : *tags) require(valid_tag(tag));
  }
  if (const auto link = next_link(text)) require(!link->empty() && link->size() <= kMaxLink);
  const RegistryError error = parse_registry_error(text);
  require(showable(error.code) && showable(error.message));
  if (const auto metadata = parse_drogue_metadata(text)) {
    require(!metadata->version.empty() && (metadata->sha256.empty() || metadata->sha256.size() == 64));
  }

  const auto challenges = parse_challenges(text);
  require(challenges.size() <= kMaxChallenges);
  const RealmRules rules{"https://registry.example", {"https://auth.example"}};
  for (const Challenge& one : challenges) {
    require(!one.scheme.empty() && one.params.size() <= kMaxChallengeParams);
    const std::string realm(one.find("realm"));
    if (!judge_realm(realm, rules, true)) continue;
    const auto parts = otagate::common::parse_url(realm);
    require(parts && (parts->origin() == "https://registry.example:443" ||
                      parts->origin() == "https://auth.example:443"));
  }
  if (const auto token = parse_token_answer(text))
    require(!token->token.empty() && token->token.size() <= kMaxToken);
  if (const auto who = read_docker_config(text, "registry.example:5000"); !who)
    require(showable(who.error().message));

  if (const auto key = parse_key(text)) require(parse_key(to_string(*key)) == key);
  if (const auto reference = parse_reference(text)) {
    require(valid_repository(reference->repository));
  } else {
    require(showable(reference.error().message));
  }
  if (const auto position = parse_position(text)) require(parse_position(to_string(*position)) == position);
  const std::string tag = as_tag(text);
  require(text.empty() || valid_tag(tag));
  return 0;
}
