#include "firmware_spec.hpp"

#include <boost/json/array.hpp>

#include "json_access.hpp"

namespace otagate::cli {

std::string firmware_path(const std::string& spec, const std::string& action) {
  std::string name = spec, version = "latest", type;
  if (const auto slash = name.find('/'); slash != std::string::npos) {
    version = name.substr(slash + 1);
    name.resize(slash);
    if (const auto second = version.find('/'); second != std::string::npos) {
      type = version.substr(second + 1);
      version.resize(second);
    }
  }
  std::string path = "/api/v1/firmware/" + encode(name) + "/" + encode(version) + action;
  if (!type.empty()) path += "?type=" + encode(type);
  return path;
}

Result<boost::json::value> find_firmware(const Client& client, const std::string& spec) {
  const auto found = client.get(firmware_path(spec, ""));
  if (!found) return fail(found.error());
  if (items(*found).size() != 1)
    return fail(Code::ambiguous, "several device types have " + spec + "; write NAME/VERSION/TYPE");
  return items(*found).front();
}

}  // namespace otagate::cli
