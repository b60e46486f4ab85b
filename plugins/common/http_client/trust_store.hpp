// The certificates that upstream TLS is verified against.
#pragma once

#include <memory>
#include <string>

#include "common/http_client/failure.hpp"

struct x509_store_st;

namespace otagate::common {

// The store for a PEM file, or for the system's certificates when `ca_file` is empty. Loaded on first
// use and then shared until the file changes; the system's are looked up one by one as chains need
// them, so that an idle daemon does not hold a whole bundle. Any thread.
Outcome<std::shared_ptr<x509_store_st>> trust_store(const std::string& ca_file);

}  // namespace otagate::common
