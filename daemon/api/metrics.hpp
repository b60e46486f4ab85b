// The daemon's metrics in Prometheus' text format.
#pragma once

#include <string>

#include "api/backend.hpp"

namespace otagate::api {

// Text exposition format 0.0.4 of a snapshot taken now.
std::string render_metrics(const Backend& backend);

}  // namespace otagate::api
