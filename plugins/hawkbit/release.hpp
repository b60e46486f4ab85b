// A deployment of hawkBit's as the gateway's assignment.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/http_client/failure.hpp"
#include "hawkbit/documents.hpp"
#include "otagate/cpp/store.hpp"

namespace otagate::hawkbit {

// Which component of a device a part is for: by "<part>/<file name>", else by "<part>". An empty name leaves
// the artifact out. Without a rule "os" is "application" and others keep their name.
using Components = std::map<std::string, std::string, std::less<>>;

// Tenant, module and digest: the same for each target that is assigned the same artifact.
std::string object_key(std::string_view tenant, const Chunk& chunk, const Artifact& artifact);
// The artifact's SHA-1, which hawkBit gives as its entity tag, and its size.
std::string object_token(const Artifact& artifact);

// Fails with OTAGATE_INVALID when this cannot be carried out, for the message that hawkBit is told.
common::Outcome<sdk::Assignment> make_assignment(const Deployment& deployment, std::string_view device,
                                                 std::string_view tenant, const Components& components,
                                                 bool needs_confirm);

}  // namespace otagate::hawkbit
