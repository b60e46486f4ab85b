#include "deploy_spec.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <set>
#include <string_view>

namespace otagate::cli {

namespace json = boost::json;

namespace {

// Names have no slash; NAME@VERSION is what those write who come from containers.
Result<json::object> part_of(std::string_view text, std::string_view component, const std::string& store) {
  json::object part;
  std::string_view name = text, version = "latest", type;
  if (const auto cut = text.find_first_of("/@"); cut != std::string_view::npos) {
    name = text.substr(0, cut);
    version = text.substr(cut + 1);
    if (const auto slash = version.find('/'); text[cut] == '/' && slash != std::string_view::npos) {
      type = version.substr(slash + 1);
      version = version.substr(0, slash);
      if (type.empty() || type.find('/') != std::string_view::npos) version = "";
    }
  }
  if (name.empty() || version.empty())
    return fail(Code::invalid,
                std::string(text) + ": write NAME, NAME@VERSION, NAME/VERSION or NAME/VERSION/TYPE");
  if (!component.empty()) part["component"] = component;
  part["name"] = name;
  part["version"] = version;
  if (!type.empty()) part["type"] = type;
  if (!store.empty()) part["store"] = store;
  return part;
}

Result<json::object> target_of(const std::vector<std::string>& to) {
  json::array devices, tags;
  json::object target;
  for (const std::string& one : to) {
    if (one == "everybody") {
      target["everybody"] = true;
      continue;
    }
    const auto equals = one.find('=');
    const std::string_view key = std::string_view(one).substr(0, equals);
    const std::string_view value =
        equals == std::string::npos ? std::string_view() : std::string_view(one).substr(equals + 1);
    if (value.empty() || (key != "type" && key != "tag" && key != "device"))
      return fail(Code::invalid, "--to " + one + ": write type=X, tag=X, device=X or everybody");
    if (key == "device") {
      devices.emplace_back(value);
    } else if (key == "tag") {
      tags.emplace_back(value);
    } else {
      if (target.contains("type"))
        return fail(Code::invalid, "--to " + one + ": one type at most; make a deployment for each");
      target["type"] = value;
    }
  }
  if (to.empty())
    return fail(Code::invalid, "say who is meant: --to type=X, --to tag=X, --to device=X or --to everybody");
  if (!devices.empty()) target["devices"] = std::move(devices);
  if (!tags.empty()) target["tags"] = std::move(tags);
  return target;
}

}  // namespace

Result<json::object> deploy_spec(const DeployArguments& arguments) {
  json::array parts;
  std::set<std::string_view> components;
  if (!arguments.firmware.empty()) {
    auto part = part_of(arguments.firmware, arguments.component, arguments.store);
    if (!part) return fail(std::move(part).error());
    parts.push_back(std::move(*part));
    components.insert(arguments.component.empty() ? std::string_view("application") : arguments.component);
  }
  for (const std::string& one : arguments.parts) {
    const auto equals = one.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::invalid, "--part " + one + ": write COMPONENT=NAME@VERSION");
    const std::string_view component = std::string_view(one).substr(0, equals);
    if (!components.insert(component).second)
      return fail(Code::invalid, "--part " + one + ": this component is there already");
    auto part = part_of(std::string_view(one).substr(equals + 1), component, arguments.store);
    if (!part) return fail(std::move(part).error().with_context("--part"));
    parts.push_back(std::move(*part));
  }
  if (parts.empty()) return fail(Code::invalid, "name the firmware, or give --part COMPONENT=NAME@VERSION");
  auto target = target_of(arguments.to);
  if (!target) return fail(std::move(target).error());

  json::object policy;
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) policy[key] = value;
  };
  const auto list = [&](std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    json::array array;
    for (const std::string& value : values) array.emplace_back(value);
    policy[key] = std::move(array);
  };
  const auto flag = [&](std::string_view key, bool value) {
    if (value) policy[key] = true;
  };
  list("waves", arguments.waves);
  list("windows", arguments.windows);
  if (arguments.window_without_clock) policy["window_without_clock"] = "open";
  text("advance_at", arguments.advance_at);
  text("pause_at", arguments.pause_at);
  text("abort_at", arguments.abort_at);
  text("silence", arguments.silence);
  text("apply", arguments.apply);
  text("retry_first", arguments.retry_first);
  text("retry_most", arguments.retry_most);
  text("deadline", arguments.deadline);
  if (arguments.concurrency != 0) policy["concurrency"] = arguments.concurrency;
  if (arguments.attempts != 0) policy["attempts"] = arguments.attempts;
  flag("approval", arguments.approval);
  flag("once", arguments.once);
  flag("downgrade", arguments.downgrade);
  flag("stream", arguments.stream);

  json::object spec{{"parts", std::move(parts)}, {"target", std::move(*target)}};
  if (!arguments.name.empty()) spec["name"] = arguments.name;
  if (!policy.empty()) spec["policy"] = std::move(policy);
  return spec;
}

}  // namespace otagate::cli
