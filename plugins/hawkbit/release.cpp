#include "hawkbit/release.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/http_client/url.hpp"
#include "common/object_store/ranges.hpp"

namespace otagate::hawkbit {
namespace {

using common::ddi::Handling;

constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kMaxName = 128;  // of a firmware, in bytes

// What the gateway takes for a name or version: no slash, no blank at either end.
std::string usable_name(std::string_view text) {
  std::string name = common::printable(text, kMaxName);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == '\\'; }, '_');
  if (!name.empty() && name.front() == ' ') name.front() = '_';
  if (!name.empty() && name.back() == ' ') name.back() = '_';
  return name;
}

// A chunk's only artifact is the component's firmware. Of several each needs a component of its own, as the
// gateway keeps one firmware per component.
std::string component_of(const Components& components, const Chunk& chunk, const Artifact& artifact) {
  if (const auto own = components.find(chunk.part + "/" + artifact.filename); own != components.end())
    return own->second;
  const auto of_part = components.find(chunk.part);
  const std::string component =
      of_part != components.end() ? of_part->second : std::string(common::ddi::component_name(chunk.part));
  if (component.empty() || chunk.artifacts.size() == 1) return component;
  return component + "/" + artifact.filename;
}

std::uint32_t mode_of(const Deployment& deployment) {
  // Outside of its maintenance window a deployment says "skip" as well, but only for now.
  if (deployment.update == Handling::skip && deployment.window != Window::unavailable)
    return OTAGATE_ASSIGN_DOWNLOAD_ONLY;
  const bool forced = deployment.update == Handling::forced || deployment.download == Handling::forced;
  return forced ? OTAGATE_ASSIGN_FORCED : OTAGATE_ASSIGN_SOFT;
}

std::uint32_t window_of(Window window) {
  switch (window) {
    case Window::none: return OTAGATE_WINDOW_NONE;
    case Window::available: return OTAGATE_WINDOW_OPEN;
    case Window::unavailable: return OTAGATE_WINDOW_CLOSED;
  }
  return OTAGATE_WINDOW_NONE;
}

sdk::AssignmentPart make_part(std::string_view tenant, const Chunk& chunk, const Artifact& artifact,
                              std::string component) {
  sdk::AssignmentPart part;
  part.component = std::move(component);
  // The gateway knows a firmware by name and version.
  part.name = usable_name(chunk.artifacts.size() == 1 ? chunk.name : chunk.name + ":" + artifact.filename);
  part.version = usable_name(chunk.version);
  part.params = {{"filename", artifact.filename}, {"part", chunk.part}};
  for (const auto& [key, value] : chunk.metadata) part.params.emplace_back("metadata." + key, value);
  sdk::Object& object = part.object;
  object.key = object_key(tenant, chunk, artifact);
  object.change_token = object_token(artifact);
  object.sha256 = artifact.sha256;
  object.size = artifact.size;
  object.metadata = {{"name", part.name}, {"version", part.version}};
  if (!artifact.sha256.empty()) object.metadata.emplace_back("sha256", artifact.sha256);
  object.locators = {artifact.url};
  return part;
}

}  // namespace

std::string object_key(std::string_view tenant, const Chunk& chunk, const Artifact& artifact) {
  const auto piece = [](std::string_view text) {
    return common::percent_encode(common::printable(text, 75));
  };
  return piece(tenant) + "/" + piece(chunk.part) + "/" + piece(chunk.name) + "/" + piece(chunk.version) +
         "/" + (artifact.sha256.empty() ? "sha1:" + artifact.sha1 : artifact.sha256);
}

std::string object_token(const Artifact& artifact) {
  return common::make_token(artifact.sha1, artifact.size);
}

common::Outcome<sdk::Assignment> make_assignment(const Deployment& deployment, std::string_view device,
                                                 std::string_view tenant, const Components& components,
                                                 bool needs_confirm) {
  sdk::Assignment wish;
  wish.external_id = deployment.action;
  wish.device = device;
  wish.mode = mode_of(deployment);
  wish.window = window_of(deployment.window);
  wish.needs_confirm = needs_confirm;
  std::set<std::string> seen;
  for (const Chunk& chunk : deployment.chunks) {
    for (const Artifact& artifact : chunk.artifacts) {
      std::string component = component_of(components, chunk, artifact);
      if (component.empty()) continue;
      const std::string what = "artifact '" + artifact.filename + "' of module '" + chunk.name + "'";
      if (artifact.sha256.empty() && artifact.sha1.empty())
        return common::fail(OTAGATE_INVALID, what + " has no hash");
      if (artifact.url.empty())
        return common::fail(OTAGATE_INVALID, what + " has neither a download nor a download-http link");
      if (!seen.insert(component).second)
        return common::fail(OTAGATE_INVALID, what + " is the second for component '" + component +
                                                 "': tell them apart in the store's option 'components'");
      if (wish.parts.size() == kMaxParts)
        return common::fail(OTAGATE_INVALID, "the distribution set has more than 16 artifacts");
      wish.parts.push_back(make_part(tenant, chunk, artifact, std::move(component)));
    }
  }
  if (wish.parts.empty())
    return common::fail(OTAGATE_INVALID, "the distribution set has no artifact to install");
  return wish;
}

}  // namespace otagate::hawkbit
