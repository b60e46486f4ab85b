// The routes of devices, deployments and attempts.
#pragma once

#include "api/backend.hpp"
#include "api/http.hpp"

namespace otagate::api {

// `backend` outlives the router.
void add_devices(Router& router, Backend& backend);
void add_deployments(Router& router, Backend& backend);

}  // namespace otagate::api
