#include "gateway/fleet_model.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "firmware/version.hpp"

namespace otagate::gateway::fleet {

namespace json = boost::json;

namespace {

// Of a row: what does not parse is treated as absent.
json::value parsed(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

std::string Release::problem() const {
  for (const ReleasePart& part : parts) {
    if (!part.problem.empty()) return part.problem;
  }
  return {};
}

bool Release::ready() const {
  if (!known) return false;
  for (const ReleasePart& part : parts) {
    if (!part.ready) return false;
  }
  return true;
}

std::string Release::fingerprint() const {
  std::string text;
  for (const ReleasePart& part : parts) {
    text += part.component + '=';
    if (part.entry) text += part.entry->firmware.version;
    text += ';';
  }
  return text;
}

rollout::Match Deployment::match(const Device& device) const {
  // The list may be long: it is looked up, not searched.
  if (listed.contains(device.id)) return {true, rollout::Rank::device};
  static const std::vector<std::string> kNobody;
  rollout::Target others;
  others.type = spec.target.type;
  others.tags = spec.target.tags;
  others.everybody = spec.target.everybody;
  return rollout::match(others, device.id, device.type, device.tags);
}

bool Deployment::claims() const {
  return rollout.state() == rollout::RolloutState::active || rollout.state() == rollout::RolloutState::paused;
}

state::DeploymentRow Deployment::row() const {
  state::DeploymentRow row;
  row.id = id;
  row.spec = rollout::to_json(spec);
  row.state = static_cast<int>(rollout.state());
  row.why = why;
  row.wave = rollout.wave();
  row.forgiven = rollout.forgiven();
  row.release = to_json(fingerprints);
  row.origin = origin;
  row.external_id = external_id;
  row.created_ms = created_ms;
  row.ended_ms = ended_ms;
  return row;
}

state::AttemptRow Attempt::row(const Device& of) const {
  state::AttemptRow row;
  row.id = static_cast<std::int64_t>(id);
  row.deployment = deployment;
  row.device = device;
  row.device_name = of.id;
  row.state = static_cast<int>(machine.state());
  row.part = machine.part();
  row.offset = machine.offset();
  row.code = machine.code();
  row.message = machine.message();
  row.resume_token = resume_token;
  row.parts = to_json(parts);
  row.started_ms = started_ms;
  return row;
}

std::string to_json(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return json::serialize(array);
}

std::string to_json(const std::map<std::string, std::string>& pairs) {
  json::object object;
  for (const auto& [key, value] : pairs) object[key] = value;
  return json::serialize(object);
}

std::string to_json(const std::vector<OfferedPart>& parts) {
  json::array array;
  for (const OfferedPart& part : parts) {
    json::object object{{"component", part.component},
                        {"name", part.name},
                        {"version", part.version},
                        {"type", part.type},
                        {"sha256", part.digest.hex()}};
    if (part.size) object["size"] = *part.size;
    array.push_back(std::move(object));
  }
  return json::serialize(array);
}

std::vector<std::string> texts_of(std::string_view text) {
  std::vector<std::string> texts;
  const json::value value = parsed(text);
  const json::array* array = value.if_array();
  if (array == nullptr) return texts;
  for (const json::value& item : *array) {
    if (item.is_string()) texts.emplace_back(item.get_string());
  }
  return texts;
}

std::map<std::string, std::string> pairs_of(std::string_view text) {
  std::map<std::string, std::string> pairs;
  const json::value value = parsed(text);
  const json::object* object = value.if_object();
  if (object == nullptr) return pairs;
  for (const auto& member : *object) {
    if (member.value().is_string())
      pairs[std::string(member.key())] = std::string(member.value().get_string());
  }
  return pairs;
}

std::vector<OfferedPart> parts_of(std::string_view text) {
  std::vector<OfferedPart> parts;
  const json::value value = parsed(text);
  const json::array* array = value.if_array();
  if (array == nullptr) return parts;
  for (const json::value& item : *array) {
    const json::object* object = item.if_object();
    if (object == nullptr) continue;
    OfferedPart& part = parts.emplace_back();
    part.component = text_of(*object, "component");
    part.name = text_of(*object, "name");
    part.version = text_of(*object, "version");
    part.type = text_of(*object, "type");
    part.digest = Digest::parse(text_of(*object, "sha256")).value_or(Digest{});
    if (const json::value* size = object->if_contains("size"))
      part.size = static_cast<std::uint64_t>(size->is_int64() ? size->get_int64() : 0);
  }
  return parts;
}

state::DeviceRow row_of(const Device& device) {
  state::DeviceRow row;
  row.id = device.key;
  row.name = device.id;
  row.type = device.type;
  row.approval = static_cast<int>(device.approval);
  row.tags = to_json(device.tags);
  row.transport = device.transport;
  row.address = device.address;
  row.first_seen_ms = device.first_seen_ms;
  row.last_seen_ms = device.last_seen_ms;
  row.versions = to_json(device.versions);
  row.attributes = to_json(device.attributes);
  row.token = device.token;
  row.held = to_json(device.held);
  return row;
}

Device device_of(const state::DeviceRow& row) {
  Device device;
  device.key = row.id;
  device.id = row.name;
  device.type = row.type;
  device.approval = static_cast<rollout::Approval>(row.approval);
  device.tags = texts_of(row.tags);
  device.transport = row.transport;
  device.address = row.address;
  device.versions = pairs_of(row.versions);
  device.attributes = pairs_of(row.attributes);
  device.first_seen_ms = row.first_seen_ms;
  device.last_seen_ms = row.last_seen_ms;
  device.token = row.token;
  device.held = pairs_of(row.held);
  return device;
}

rollout::AttemptView view_of(const state::AttemptRow& row) {
  const auto parts = parts_of(row.parts);
  rollout::AttemptView view;
  view.id = static_cast<AttemptId>(row.id);
  view.deployment = row.deployment;
  view.device = row.device_name;
  view.state = static_cast<rollout::AttemptState>(row.state);
  view.part = row.part;
  view.parts = static_cast<std::uint32_t>(parts.size());
  if (row.part < parts.size()) {
    view.component = parts[row.part].component;
    view.firmware = parts[row.part].name + "/" + parts[row.part].version;
    view.size = parts[row.part].size;
  }
  view.offset = row.offset;
  view.code = row.code;
  view.message = row.message;
  view.started_ms = row.started_ms;
  view.ended_ms = row.ended_ms;
  return view;
}

}  // namespace otagate::gateway::fleet
