// JSON of devices, deployments and attempts.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "api/views.hpp"
#include "rollout/spec.hpp"

namespace otagate::api {

namespace json = boost::json;

namespace {

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::value time_or_null(std::int64_t ms) { return ms == 0 ? json::value(nullptr) : json::value(ms); }

template <class T>
json::value value_or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::value attempt_or_null(const std::optional<rollout::AttemptView>& attempt) {
  return attempt ? json::value(to_json(*attempt)) : json::value(nullptr);
}

json::array texts(const std::vector<std::string>& items) {
  json::array array;
  array.reserve(items.size());
  for (const std::string& item : items) array.emplace_back(item);
  return array;
}

json::object pairs(const std::map<std::string, std::string>& items) {
  json::object object;
  object.reserve(items.size());
  for (const auto& [key, value] : items) object[key] = value;
  return object;
}

json::object counts_json(const rollout::Counts& counts) {
  return {{"members", counts.members}, {"admitted", counts.admitted},   {"waiting", counts.waiting},
          {"running", counts.running}, {"succeeded", counts.succeeded}, {"failed", counts.failed},
          {"current", counts.current}};
}

// What was asked for, in the words of the specification.
json::value spec_json(const rollout::Spec& spec) {
  boost::system::error_code error;
  json::value value = json::parse(rollout::to_json(spec), error);
  return error ? json::value(json::object{}) : value;
}

json::value assignment_or_null(const std::optional<rollout::AssignmentView>& assignment) {
  if (!assignment) return nullptr;
  return json::object{{"device", assignment->device},
                      {"mode", assignment->mode},
                      {"window", assignment->window},
                      {"not_before_ms", time_or_null(assignment->not_before_ms)},
                      {"confirmation", rollout::to_string(assignment->confirmation)},
                      {"outcome", assignment->outcome ? json::value(rollout::to_string(*assignment->outcome))
                                                      : json::value(nullptr)}};
}

}  // namespace

json::object to_json(const rollout::AttemptView& attempt) {
  return {{"id", attempt.id},
          {"deployment", attempt.deployment},
          {"device", attempt.device},
          {"state", rollout::to_string(attempt.state)},
          {"part", attempt.part},
          {"parts", attempt.parts},
          {"component", attempt.component},
          {"firmware", attempt.firmware},
          {"offset", attempt.offset},
          {"size", value_or_null(attempt.size)},
          {"bytes_per_second", attempt.rate},
          {"code", attempt.code},
          {"message", attempt.message},
          {"started_ms", attempt.started_ms},
          {"ended_ms", value_or_null(attempt.ended_ms)}};
}

json::object to_json(const rollout::DeviceView& device) {
  return {{"id", device.id},
          {"type", device.type},
          {"approval", rollout::to_string(device.approval)},
          {"tags", texts(device.tags)},
          {"transport", text_or_null(device.transport)},
          {"address", text_or_null(device.address)},
          {"versions", pairs(device.versions)},
          {"attributes", pairs(device.attributes)},
          {"first_seen_ms", time_or_null(device.first_seen_ms)},
          {"last_seen_ms", time_or_null(device.last_seen_ms)},
          {"has_token", device.has_token},
          {"attempt", attempt_or_null(device.attempt)},
          {"assigned_by", pairs(device.assigned_by)}};
}

json::object to_json(const rollout::DeploymentView& deployment) {
  const rollout::Policy& policy = deployment.spec.policy;
  const std::uint32_t places = deployment.counts.members - deployment.counts.current;
  json::array waves;
  for (const rollout::Amount& amount : policy.waves)
    waves.push_back(json::object{{"amount", amount.text()}, {"devices", amount.of(places)}});
  return {{"id", deployment.id},
          {"name", deployment.spec.name},
          {"state", rollout::to_string(deployment.state)},
          {"over", rollout::is_over(deployment.state)},
          {"why", deployment.why},
          {"wave", deployment.wave},
          {"waves", std::move(waves)},
          {"limit", deployment.limit},
          {"counts", counts_json(deployment.counts)},
          {"problems", texts(deployment.problems)},
          {"spec", spec_json(deployment.spec)},
          {"origin", text_or_null(deployment.origin)},
          {"external_id", text_or_null(deployment.external_id)},
          {"assignment", assignment_or_null(deployment.assignment)},
          {"created_ms", deployment.created_ms},
          {"ended_ms", value_or_null(deployment.ended_ms)}};
}

json::object to_json(const rollout::MemberView& view) {
  return {{"device", view.device},
          {"state", rollout::to_string(view.member.state)},
          {"admitted", view.member.admitted},
          {"attempts", view.member.attempts},
          {"attempt", attempt_or_null(view.attempt)}};
}

json::object to_json(const rollout::Preview& preview) {
  json::array lines;
  lines.reserve(preview.lines.size());
  for (const rollout::Preview::Line& line : preview.lines)
    lines.push_back(json::object{{"device", line.device}, {"matches", line.matches}, {"what", line.what}});
  return {{"matching", preview.matching},
          {"skipped", preview.skipped},
          {"problems", texts(preview.problems)},
          {"items", std::move(lines)}};
}

}  // namespace otagate::api
