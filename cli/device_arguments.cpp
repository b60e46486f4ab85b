#include "device_arguments.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "client.hpp"

namespace otagate::cli {

namespace json = boost::json;

namespace {

// KEY=VALUE of each; without '=' the value of `unnamed`, where there is one.
Result<json::object> pairs_of(const std::vector<std::string>& arguments, const std::string& option,
                              const std::string& unnamed) {
  json::object pairs;
  for (const std::string& argument : arguments) {
    const auto equals = argument.find('=');
    std::string key = equals == std::string::npos ? unnamed : argument.substr(0, equals);
    if (key.empty()) return fail(Code::invalid, option + " " + argument + ": write KEY=VALUE");
    const std::string value = equals == std::string::npos ? argument : argument.substr(equals + 1);
    if (!pairs.emplace(key, value).second)
      return fail(Code::invalid, option + " " + argument + ": " + key + " is there twice");
  }
  return pairs;
}

}  // namespace

std::string devices_path(const DeviceFilter& filter) {
  std::string path = "/api/v1/devices?limit=1000";
  for (const auto& [key, value] : {std::pair<const char*, const std::string*>{"prefix", &filter.prefix},
                                   {"type", &filter.type},
                                   {"tag", &filter.tag},
                                   {"transport", &filter.transport},
                                   {"approval", &filter.approval},
                                   {"component", &filter.component},
                                   {"version", &filter.version}}) {
    if (!value->empty()) path += "&" + std::string(key) + "=" + encode(*value);
  }
  return path;
}

std::string device_path(const std::string& id, std::string_view rest) {
  return "/api/v1/devices/" + encode(id) + std::string(rest);
}

Result<json::object> device_edit(const DeviceArguments& arguments) {
  if (arguments.id.empty()) return fail(Code::invalid, "name the device");
  json::object edit{{"id", arguments.id}};
  if (!arguments.type.empty()) edit["type"] = arguments.type;
  if (!arguments.approval.empty()) edit["approval"] = arguments.approval;
  if (!arguments.transport.empty()) edit["transport"] = arguments.transport;
  if (!arguments.address.empty()) edit["address"] = arguments.address;
  if (!arguments.tags.empty()) edit["tags"] = json::array(arguments.tags.begin(), arguments.tags.end());
  auto attributes = pairs_of(arguments.attributes, "--attribute", "");
  if (!attributes) return fail(std::move(attributes).error());
  auto versions = pairs_of(arguments.versions, "--version", "application");
  if (!versions) return fail(std::move(versions).error());
  if (!attributes->empty()) edit["attributes"] = std::move(*attributes);
  if (!versions->empty()) edit["versions"] = std::move(*versions);
  return edit;
}

Result<std::string> table_format(const std::string& asked, const std::string& file) {
  if (!asked.empty()) return asked;
  if (file.ends_with(".csv")) return std::string("csv");
  if (file.ends_with(".json")) return std::string("json");
  return fail(Code::invalid, "say --format csv or --format json: the name does not tell");
}

json::array edited_tags(const json::array& tags, const std::vector<std::string>& add,
                        const std::vector<std::string>& remove) {
  json::array edited;
  for (const json::value& tag : tags) {
    if (tag.is_string() &&
        std::find(remove.begin(), remove.end(), std::string(tag.as_string())) == remove.end())
      edited.push_back(tag);
  }
  for (const std::string& tag : add) {
    if (std::find(edited.begin(), edited.end(), json::value(tag)) == edited.end()) edited.emplace_back(tag);
  }
  return edited;
}

}  // namespace otagate::cli
