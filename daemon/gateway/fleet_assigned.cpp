// What the fleet holds of what stores assign: to JSON of rows and back, and as deployments know it.
#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "gateway/fleet_model.hpp"

namespace otagate::gateway::fleet {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostName = 200;

json::array pairs_json(const plugin::Pairs& pairs) {
  json::array array;
  for (const auto& [key, value] : pairs) array.push_back(json::array{key, value});
  return array;
}

// Of our own rows: what is not as it was written is treated as absent.
class Reading {
 public:
  explicit Reading(const json::value* value) : object_(value != nullptr ? value->if_object() : nullptr) {}

  std::string text(std::string_view key) const {
    const json::value* value = get(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  }
  std::int64_t number(std::string_view key) const {
    const json::value* value = get(key);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
  }
  bool flag(std::string_view key) const {
    const json::value* value = get(key);
    return value != nullptr && value->is_bool() && value->get_bool();
  }
  const json::array& list(std::string_view key) const {
    static const json::array kNone;
    const json::value* value = get(key);
    return value != nullptr && value->is_array() ? value->get_array() : kNone;
  }
  plugin::Pairs pairs(std::string_view key) const {
    plugin::Pairs pairs;
    for (const json::value& item : list(key)) {
      const json::array* pair = item.if_array();
      if (pair != nullptr && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string())
        pairs.emplace_back((*pair)[0].get_string(), (*pair)[1].get_string());
    }
    return pairs;
  }
  const json::value* get(std::string_view key) const {
    return object_ != nullptr ? object_->if_contains(key) : nullptr;
  }

 private:
  const json::object* object_;
};

std::string meta(const plugin::Object& object, std::string_view key) {
  const auto found = std::find_if(object.metadata.begin(), object.metadata.end(),
                                  [key](const auto& pair) { return pair.first == key; });
  return found == object.metadata.end() ? std::string() : found->second;
}

json::object object_json(const plugin::Object& object) {
  json::array locators;
  for (const std::string& locator : object.locators) locators.emplace_back(locator);
  json::object out{{"key", object.key},
                   {"change_token", object.change_token},
                   {"flags", object.flags},
                   {"modified_ms", object.modified_ms},
                   {"metadata", pairs_json(object.metadata)},
                   {"locators", std::move(locators)}};
  if (object.size) out["size"] = static_cast<std::int64_t>(*object.size);
  if (object.sha256) out["sha256"] = object.sha256->hex();
  return out;
}

plugin::Object object_of(const Reading& from) {
  plugin::Object object;
  object.key = from.text("key");
  object.change_token = from.text("change_token");
  object.flags = static_cast<std::uint32_t>(from.number("flags"));
  object.modified_ms = from.number("modified_ms");
  object.metadata = from.pairs("metadata");
  for (const json::value& locator : from.list("locators")) {
    if (locator.is_string()) object.locators.emplace_back(locator.get_string());
  }
  if (from.get("size") != nullptr) object.size = static_cast<std::uint64_t>(from.number("size"));
  if (auto digest = Digest::parse(from.text("sha256"))) object.sha256 = *digest;
  return object;
}

}  // namespace

std::string to_json(const plugin::Assignment& said) {
  json::array parts;
  for (const plugin::AssignmentPart& part : said.parts) {
    parts.push_back(json::object{{"component", part.component},
                                 {"name", part.name},
                                 {"version", part.version},
                                 {"params", pairs_json(part.params)},
                                 {"object", object_json(part.object)}});
  }
  return json::serialize(json::object{{"external_id", said.external_id},
                                      {"device", said.device},
                                      {"mode", said.mode},
                                      {"window", said.window},
                                      {"not_before_ms", said.not_before_ms},
                                      {"needs_confirm", said.needs_confirm},
                                      {"parts", std::move(parts)}});
}

plugin::Assignment assignment_of(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  const Reading from(error ? nullptr : &value);
  plugin::Assignment said;
  said.external_id = from.text("external_id");
  said.device = from.text("device");
  said.mode = static_cast<std::uint32_t>(from.number("mode"));
  said.window = static_cast<std::uint32_t>(from.number("window"));
  said.not_before_ms = from.number("not_before_ms");
  said.needs_confirm = from.flag("needs_confirm");
  for (const json::value& item : from.list("parts")) {
    const Reading part(&item);
    said.parts.push_back({part.text("component"), part.text("name"), part.text("version"),
                          part.pairs("params"), object_of(Reading(part.get("object")))});
  }
  return said;
}

Result<rollout::Spec> spec_of(const plugin::Assignment& said, const std::string& store,
                              const config::StoreAssignments& settings) {
  rollout::Spec spec;
  spec.name = (store + " " + said.external_id).substr(0, kMostName);
  for (const plugin::AssignmentPart& part : said.parts) {
    spec.parts.push_back(
        {.component = part.component.empty() ? std::string(rollout::kDefaultComponent) : part.component,
         .name = part.name,
         .version = part.version,
         .type = {},
         .store = store});
  }
  spec.target.devices = {said.device};
  spec.policy.once = true;
  spec.policy.downgrade = settings.downgrade;
  spec.policy.attempts = settings.attempts;
  spec.policy.retry_first = 1min;
  spec.policy.approval = said.needs_confirm;
  // The bounds of deployments hold for it, too, and it has to be read back.
  return rollout::parse_spec(rollout::to_json(spec));
}

bool same_release(const plugin::Assignment& one, const plugin::Assignment& other) {
  return std::equal(one.parts.begin(), one.parts.end(), other.parts.begin(), other.parts.end(),
                    [](const plugin::AssignmentPart& a, const plugin::AssignmentPart& b) {
                      return a.component == b.component && a.name == b.name && a.version == b.version &&
                             a.params == b.params && a.object.key == b.object.key &&
                             a.object.change_token == b.object.change_token &&
                             a.object.sha256 == b.object.sha256;
                    });
}

state::AssignmentRow Assigned::row(std::int64_t deployment) const {
  state::AssignmentRow row;
  row.deployment = deployment;
  row.device = device;
  row.said = to_json(said);
  row.confirm = static_cast<int>(machine.confirmation());
  if (const auto outcome = machine.outcome()) row.outcome = static_cast<std::int64_t>(*outcome);
  return row;
}

bool Assigned::has(const std::vector<OfferedPart>& parts) const {
  return std::all_of(parts.begin(), parts.end(), [this](const OfferedPart& offered) {
    return std::any_of(said.parts.begin(), said.parts.end(), [&](const plugin::AssignmentPart& part) {
      return part.name == offered.name && part.version == offered.version &&
             part.object.sha256.value_or(offered.digest) == offered.digest;
    });
  });
}

const plugin::Pairs& Assigned::params(std::string_view component) const {
  static const plugin::Pairs kNone;
  for (const plugin::AssignmentPart& part : said.parts) {
    if ((part.component.empty() ? rollout::kDefaultComponent : std::string_view(part.component)) == component)
      return part.params;
  }
  return kNone;
}

Extent size_of(const Attempt& attempt) {
  Extent extent;
  for (std::uint32_t i = 0; i < attempt.parts.size(); ++i) {
    const std::uint64_t size = attempt.parts[i].size.value_or(0);
    extent.total += size;
    if (i < attempt.machine.part()) extent.done += size;
  }
  extent.done += std::min(attempt.machine.offset(), extent.total - std::min(extent.done, extent.total));
  return extent;
}

std::vector<ReleasePart> Assigned::parts(const std::string& store, const std::string& type) const {
  std::vector<ReleasePart> parts;
  for (const plugin::AssignmentPart& part : said.parts) {
    const plugin::Object& object = part.object;
    Entry entry;
    entry.firmware.name = part.name;
    entry.firmware.version = part.version;
    entry.firmware.type = type;
    if (std::string kind = meta(object, "kind"); !kind.empty()) entry.firmware.kind = std::move(kind);
    if (std::string on = meta(object, "dependency"); !on.empty()) entry.firmware.dependency = std::move(on);
    entry.firmware.size = object.size;
    entry.firmware.expected_digest = object.sha256;
    entry.firmware.store_name = store;
    entry.firmware.key = object.key;
    entry.firmware.change_token = object.change_token;
    entry.firmware.object_flags = object.flags;
    entry.digest = object.sha256;
    entry.modified_ms = object.modified_ms;
    entry.locators = object.locators;
    ReleasePart made;
    made.component = part.component.empty() ? std::string(rollout::kDefaultComponent) : part.component;
    made.digest = object.sha256;
    made.entry = std::move(entry);
    parts.push_back(std::move(made));
  }
  return parts;
}

}  // namespace otagate::gateway::fleet
