// What the commands of devices were told, as the admin API wants it.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace otagate::cli {

// A filter of the API for each; empty: not asked for.
struct DeviceFilter {
  std::string prefix, type, tag, transport, approval, component, version;
};

// "/api/v1/devices?limit=1000&type=sensor".
std::string devices_path(const DeviceFilter& filter);
// The path of one device; `rest` begins with a slash.
std::string device_path(const std::string& id, std::string_view rest = "");

struct DeviceArguments {
  std::string id, type, approval, transport, address;
  std::vector<std::string> tags;
  std::vector<std::string> attributes;  // KEY=VALUE
  std::vector<std::string> versions;    // VERSION of the application, or COMPONENT=VERSION
};

// `invalid` says what to write.
Result<boost::json::object> device_edit(const DeviceArguments& arguments);

// "csv" or "json": as asked for, else by the name's end.
Result<std::string> table_format(const std::string& asked, const std::string& file);

// The tags of a device with some added and some taken off.
boost::json::array edited_tags(const boost::json::array& tags, const std::vector<std::string>& add,
                               const std::vector<std::string>& remove);

}  // namespace otagate::cli
