// The HTTP transport's entry point.
#include "http/server.hpp"

OTAGATE_PLUGIN(otagate::http::Server, .id = "http", .version = "0.1.0",
               .summary = "Serves the catalog, firmware and blobs over HTTP and HTTPS.",
               .options_schema = otagate::http::kOptionsSchema)
