// The OpenAPI 3 description of the admin API, made from openapi.json at build time.
#pragma once

#include <string_view>

namespace otagate::api {

extern const std::string_view kOpenapi;

}  // namespace otagate::api
