// What the commands of devices and of deployments share: walking pages, and attempts as a table.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>

#include "commands.hpp"

namespace otagate::cli {

// Every page of a list: `path` has a query already, `key` is the parameter that takes its "next". With --json
// each page is printed, one on a line.
Result<void> each_page(const Context& context, const std::string& path, const std::string& key,
                       const std::function<void(const boost::json::value&)>& page);

// A page of attempts.
void print_attempts(const Context& context, const boost::json::value& page);

}  // namespace otagate::cli
