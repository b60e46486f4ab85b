// The routes of the admin API.
#pragma once

#include "api/backend.hpp"
#include "api/http.hpp"

namespace otagate::api {

// All of /api/v1 but the event stream, which is the server's. `backend` outlives the router.
Router make_router(Backend& backend);

}  // namespace otagate::api
