// What the Blob service's refusals mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "azure/access.hpp"
#include "common/http_client/failure.hpp"
#include "common/http_client/http_client.hpp"

namespace otagate::azure {

struct FailureContext {
  std::string_view method{};
  std::string_view url{};  // its query is not shown
  Access::Kind access = Access::Kind::anonymous;
  bool of_container = false;  // not of a blob: then "not found" is a mistake of the configuration
  bool tags = false;          // index tags were asked for
  bool of_service = false;    // a key that signs URLs was asked for
  std::string_view sas{};     // must not be shown, whoever repeats it
  std::optional<std::int64_t> signed_at{};  // seconds since 1970, when the request was signed
};

// The class by Azure's own code (x-ms-error-code, or that of the document) where there is one, else by the
// status. A refused signature whose time is far from the server's Date is OTAGATE_CLOCK.
common::Failure failure_of(const common::HttpResponse& response, const FailureContext& context);

// Whether it is who we are that was refused, and not what we asked for.
bool says_unauthenticated(const common::HttpResponse& response);

}  // namespace otagate::azure
