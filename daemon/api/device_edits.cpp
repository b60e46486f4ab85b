#include "api/device_edits.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <set>

#include "api/answers.hpp"

namespace otagate::api {

namespace json = boost::json;

namespace {

// Shown of a device, but not set by operators.
constexpr std::array<std::string_view, 5> kShown = {"first_seen_ms", "last_seen_ms", "has_token", "attempt",
                                                    "assigned_by"};

Result<std::string> checked_text(const json::value& value, const std::string& key) {
  if (!value.is_string()) return fail(Code::invalid, key + ": write a string");
  if (value.get_string().size() > kMaxDeviceText)
    return fail(Code::invalid, key + ": at most " + std::to_string(kMaxDeviceText) + " bytes");
  return std::string(value.get_string());
}

Result<std::vector<std::string>> checked_tags(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr || array->size() > kMaxTags)
    return fail(Code::invalid, "tags: write a list of at most " + std::to_string(kMaxTags) + " strings");
  std::vector<std::string> tags;
  for (const json::value& item : *array) {
    auto tag = checked_text(item, "tags");
    if (!tag) return fail(std::move(tag).error());
    // In CSV a space stands between two tags.
    if (tag->find(' ') != std::string::npos) return fail(Code::invalid, "tags: a tag has no spaces");
    tags.push_back(std::move(*tag));
  }
  return tags;
}

Result<std::map<std::string, std::string>> checked_pairs(const json::value& value, const std::string& key) {
  const json::object* object = value.if_object();
  if (object == nullptr || object->size() > kMaxPairs)
    return fail(Code::invalid,
                key + ": write an object of at most " + std::to_string(kMaxPairs) + " strings");
  std::map<std::string, std::string> pairs;
  for (const auto& [name, item] : *object) {
    const std::string at = key + "." + std::string(name);
    if (name.empty() || name.size() > kMaxDeviceText)
      return fail(Code::invalid, key + ": a name has 1 to " + std::to_string(kMaxDeviceText) + " bytes");
    auto text = checked_text(item, at);
    if (!text) return fail(std::move(text).error());
    pairs.emplace(name, std::move(*text));
  }
  return pairs;
}

// An edit that is set twice would win or lose by its place.
Result<void> check_twice(const std::vector<rollout::DeviceEdit>& edits) {
  std::set<std::string_view> seen;
  for (const rollout::DeviceEdit& edit : edits) {
    if (!seen.insert(edit.id).second) return fail(Code::invalid, "device " + edit.id + " is there twice");
  }
  return {};
}

}  // namespace

Result<rollout::DeviceEdit> parse_device_edit(const json::object& object) {
  rollout::DeviceEdit edit;
  const auto take = [](auto& to, auto parsed) -> Result<void> {
    if (!parsed) return fail(std::move(parsed).error());
    to = std::move(*parsed);
    return {};
  };
  for (const auto& [name, value] : object) {
    const std::string key(name);
    if (value.is_null()) continue;
    Result<void> done;
    if (key == "id") {
      done = take(edit.id, checked_text(value, key));
    } else if (key == "type") {
      done = take(edit.type, checked_text(value, key));
    } else if (key == "transport") {
      done = take(edit.transport, checked_text(value, key));
    } else if (key == "address") {
      done = take(edit.address, checked_text(value, key));
    } else if (key == "tags") {
      done = take(edit.tags, checked_tags(value));
    } else if (key == "versions") {
      done = take(edit.versions, checked_pairs(value, key));
    } else if (key == "attributes") {
      done = take(edit.attributes, checked_pairs(value, key));
    } else if (key == "approval") {
      const json::string* text = value.if_string();
      rollout::Approval approval{};
      if (text == nullptr || !parse_enum(std::string_view(*text), rollout::Approval::blocked, approval))
        return fail(Code::invalid, "approval: write pending, approved or blocked");
      edit.approval = approval;
    } else if (std::find(kShown.begin(), kShown.end(), key) == kShown.end()) {
      return fail(Code::invalid,
                  key.substr(0, 64) +
                      ": a device has id, type, approval, tags, transport, address, versions and attributes");
    }
    if (!done) return fail(std::move(done).error());
  }
  return edit;
}

Result<std::vector<rollout::DeviceEdit>> parse_device_edits(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  const json::object* object = value.if_object();
  if (error || object == nullptr)
    return fail(Code::invalid, "the body has to be a JSON object: a device, or {\"items\": [devices]}");
  std::vector<rollout::DeviceEdit> edits;
  const json::value* items = object->if_contains("items");
  if (items == nullptr) {
    auto edit = parse_device_edit(*object);
    if (!edit) return fail(std::move(edit).error());
    if (edit->id.empty()) return fail(Code::invalid, "id: name the device");
    edits.push_back(std::move(*edit));
    return edits;
  }
  const json::array* array = items->if_array();
  if (array == nullptr || array->size() > kMaxEdits)
    return fail(Code::invalid, "items: write a list of at most " + std::to_string(kMaxEdits) + " devices");
  // A page that was exported has its place in the list beside the items.
  for (const auto& [name, other] : *object) {
    if (name != "items" && name != "next" && name != "devices")
      return fail(Code::invalid,
                  std::string(name.substr(0, 64)) + ": beside items there is nothing to write");
  }
  edits.reserve(array->size());
  for (const json::value& item : *array) {
    const std::string where = "items[" + std::to_string(edits.size()) + "]: ";
    const json::object* one = item.if_object();
    if (one == nullptr) return fail(Code::invalid, where + "write a JSON object");
    auto edit = parse_device_edit(*one);
    if (!edit) return fail(Code::invalid, where + edit.error().message());
    if (edit->id.empty()) return fail(Code::invalid, where + "id: name the device");
    edits.push_back(std::move(*edit));
  }
  if (auto once = check_twice(edits); !once) return fail(std::move(once).error());
  return edits;
}

}  // namespace otagate::api
