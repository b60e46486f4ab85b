#include "rollout/spec.hpp"

#include <algorithm>
#include <set>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "core/units.hpp"

namespace otagate::rollout {

namespace json = boost::json;

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxText = 200;
constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kMaxDevices = 10'000;
constexpr std::size_t kMaxTags = 64;
constexpr std::size_t kMaxWaves = 32;
constexpr std::size_t kMaxWindows = 32;

// Reads the members of one object, remembers the first thing that is wrong, and in the end also what nobody
// asked for.
class Members {
 public:
  Members(const json::value& value, std::string where) : where_(std::move(where)) {
    if (const json::object* object = value.if_object())
      object_ = object;
    else
      wrong(where_ + ": write a JSON object");
  }

  const json::value* get(std::string_view key) {
    asked_.insert(std::string(key));
    return object_ != nullptr ? object_->if_contains(key) : nullptr;
  }
  std::string at(std::string_view key) const {
    return where_.empty() ? std::string(key) : where_ + "." + std::string(key);
  }

  void text(std::string_view key, std::string& out, std::size_t most = kMaxText) {
    const json::value* value = get(key);
    if (value == nullptr || value->is_null()) return;
    if (!value->is_string()) return wrong(at(key) + ": write a string");
    if (value->get_string().size() > most)
      return wrong(at(key) + ": at most " + std::to_string(most) + " bytes");
    out = value->get_string();
  }
  void flag(std::string_view key, bool& out) {
    const json::value* value = get(key);
    if (value == nullptr || value->is_null()) return;
    if (!value->is_bool()) return wrong(at(key) + ": write true or false");
    out = value->get_bool();
  }
  void number(std::string_view key, std::uint32_t& out, std::uint32_t least, std::uint32_t most) {
    const json::value* value = get(key);
    if (value == nullptr || value->is_null()) return;
    const std::int64_t* number = value->if_int64();
    if (number == nullptr || *number < least || *number > most)
      return wrong(at(key) + ": write a number from " + std::to_string(least) + " to " +
                   std::to_string(most));
    out = static_cast<std::uint32_t>(*number);
  }
  void duration(std::string_view key, milliseconds& out) {
    std::string text;
    this->text(key, text);
    if (text.empty()) return;
    const auto parsed = parse_duration(text);
    if (!parsed) return wrong(at(key) + ": " + parsed.error().message());
    out = *parsed;
  }
  void list(std::string_view key, std::vector<std::string>& out, std::size_t most) {
    const json::value* value = get(key);
    if (value == nullptr || value->is_null()) return;
    const json::array* array = value->if_array();
    const bool good =
        array != nullptr && array->size() <= most &&
        std::all_of(array->begin(), array->end(), [](const json::value& item) {
          return item.is_string() && !item.get_string().empty() && item.get_string().size() <= kMaxText;
        });
    if (!good) return wrong(at(key) + ": write a list of at most " + std::to_string(most) + " strings");
    out.clear();
    for (const json::value& item : *array) out.emplace_back(item.get_string());
  }
  template <class T>
  void parsed(std::string_view key, T& out) {
    std::string text;
    this->text(key, text);
    if (text.empty()) return;
    auto value = std::decay_t<decltype(*T{out})>::parse(text);
    if (!value) return wrong(at(key) + ": " + value.error().message());
    out = *value;
  }

  void wrong(std::string what) {
    if (!problem_) problem_ = std::move(what);
  }
  // To be called last.
  std::optional<std::string> problem() {
    if (problem_ || object_ == nullptr) return problem_;
    for (const auto& member : *object_) {
      if (!asked_.contains(std::string(member.key()))) {
        std::string known;
        for (const std::string& key : asked_) known += (known.empty() ? "" : ", ") + key;
        return at(member.key()) + ": there is no such member; there are " + known;
      }
    }
    return std::nullopt;
  }

 private:
  std::string where_;
  const json::object* object_ = nullptr;
  std::set<std::string> asked_;
  std::optional<std::string> problem_;
};

using Problem = std::optional<std::string>;

Problem read_part(const json::value& value, std::string where, Part& part) {
  Members members(value, std::move(where));
  members.text("component", part.component);
  members.text("name", part.name);
  members.text("version", part.version);
  members.text("type", part.type);
  members.text("store", part.store);
  if (part.component.empty()) members.wrong(members.at("component") + ": leave it out or name one");
  if (part.name.empty()) members.wrong(members.at("name") + ": write the firmware's name");
  if (part.version.empty()) members.wrong(members.at("version") + ": write a version, or \"latest\"");
  return members.problem();
}

Problem read_parts(const json::value* value, std::vector<Part>& parts) {
  const json::array* array = value != nullptr ? value->if_array() : nullptr;
  if (array == nullptr || array->empty() || array->size() > kMaxParts)
    return "parts: write a list of 1 to " + std::to_string(kMaxParts) + " objects with name and version";
  std::set<std::string> components;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string where = "parts[" + std::to_string(i) + "]";
    if (auto problem = read_part((*array)[i], where, parts.emplace_back())) return problem;
    if (!components.insert(parts.back().component).second)
      return where + ".component: " + parts.back().component + " is there already; name each once";
  }
  return std::nullopt;
}

Problem read_target(const json::value* value, Target& target) {
  if (value == nullptr) return "target: say who: devices, type, tags or everybody";
  Members members(*value, "target");
  members.list("devices", target.devices, kMaxDevices);
  members.list("tags", target.tags, kMaxTags);
  members.text("type", target.type);
  members.flag("everybody", target.everybody);
  if (target.devices.empty() && target.tags.empty() && target.type.empty() && !target.everybody)
    members.wrong("target: say who: devices, type, tags or everybody");
  return members.problem();
}

template <class T>
Problem read_each(Members& members, std::string_view key, std::size_t most, std::vector<T>& out) {
  std::vector<std::string> texts;
  members.list(key, texts, most);
  if (texts.empty()) return std::nullopt;
  out.clear();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto value = T::parse(texts[i]);
    if (!value) return members.at(key) + "[" + std::to_string(i) + "]: " + value.error().message();
    out.push_back(*value);
  }
  return std::nullopt;
}

void check_waves(Members& members, const std::vector<Amount>& waves) {
  for (std::size_t i = 1; i < waves.size(); ++i) {
    const Amount& before = waves[i - 1];
    if (waves[i].percent == before.percent ? waves[i].value <= before.value : before.percent)
      members.wrong(members.at("waves") + ": each wave holds more devices than the one before, shares last");
  }
}

Problem read_policy(const json::value* value, Policy& policy) {
  if (value == nullptr || value->is_null()) return std::nullopt;
  Members members(*value, "policy");
  if (auto problem = read_each(members, "waves", kMaxWaves, policy.waves)) return problem;
  check_waves(members, policy.waves);
  if (auto problem = read_each(members, "windows", kMaxWindows, policy.windows)) return problem;
  std::optional<Amount> advance = policy.advance_at;
  members.parsed("advance_at", advance);
  policy.advance_at = *advance;
  members.parsed("pause_at", policy.pause_at);
  members.parsed("abort_at", policy.abort_at);
  members.number("concurrency", policy.concurrency, 0, 1'000'000);
  members.number("attempts", policy.attempts, 1, 100);
  std::string without_clock = "closed";
  members.text("window_without_clock", without_clock);
  if (without_clock != "closed" && without_clock != "open")
    members.wrong(members.at("window_without_clock") + ": write closed or open");
  policy.window_without_clock = without_clock == "open";
  members.duration("retry_first", policy.retry_first);
  members.duration("retry_most", policy.retry_most);
  members.duration("silence", policy.silence);
  members.duration("apply", policy.apply);
  members.duration("deadline", policy.deadline);
  members.flag("approval", policy.approval);
  members.flag("once", policy.once);
  members.flag("downgrade", policy.downgrade);
  members.flag("stream", policy.stream);
  return members.problem();
}

json::array texts(const std::vector<std::string>& items) {
  json::array array;
  for (const std::string& item : items) array.emplace_back(item);
  return array;
}

template <class T>
json::array texts_of(const std::vector<T>& items) {
  json::array array;
  for (const T& item : items) array.emplace_back(item.text());
  return array;
}

json::object policy_json(const Policy& policy) {
  json::object object{{"waves", texts_of(policy.waves)},
                      {"advance_at", policy.advance_at.text()},
                      {"concurrency", policy.concurrency},
                      {"windows", texts_of(policy.windows)},
                      {"window_without_clock", policy.window_without_clock ? "open" : "closed"},
                      {"attempts", policy.attempts},
                      {"retry_first", format_duration(policy.retry_first)},
                      {"retry_most", format_duration(policy.retry_most)},
                      {"silence", format_duration(policy.silence)},
                      {"apply", format_duration(policy.apply)},
                      {"approval", policy.approval},
                      {"once", policy.once},
                      {"downgrade", policy.downgrade},
                      {"stream", policy.stream}};
  if (policy.pause_at) object["pause_at"] = policy.pause_at->text();
  if (policy.abort_at) object["abort_at"] = policy.abort_at->text();
  if (policy.deadline.count() != 0) object["deadline"] = format_duration(policy.deadline);
  return object;
}

}  // namespace

Match match(const Target& target, std::string_view device, std::string_view type,
            const std::vector<std::string>& tags) {
  if (std::find(target.devices.begin(), target.devices.end(), device) != target.devices.end())
    return {true, Rank::device};
  const bool typed = target.type.empty() || target.type == type;
  if (!target.tags.empty()) {
    const bool tagged = std::all_of(target.tags.begin(), target.tags.end(), [&](const std::string& tag) {
      return std::find(tags.begin(), tags.end(), tag) != tags.end();
    });
    if (typed && tagged) return {true, Rank::tag};
  } else if (!target.type.empty() && typed) {
    return {true, Rank::type};
  }
  return {target.everybody, Rank::everybody};
}

Result<Spec> parse_spec(std::string_view text) {
  if (text.size() > kMaxSpec) return fail(Code::invalid, "a deployment has at most 1 MiB");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse(text, error, {}, options);
  if (error) return fail(Code::invalid, "the deployment is no JSON: " + error.message());
  Spec spec;
  Members members(value, "");
  members.text("name", spec.name);
  const json::value* const parts = members.get("parts");
  const json::value* const target = members.get("target");
  const json::value* const policy = members.get("policy");
  Problem problem = members.problem();
  if (!problem) problem = read_parts(parts, spec.parts);
  if (!problem) problem = read_target(target, spec.target);
  if (!problem) problem = read_policy(policy, spec.policy);
  if (problem) return fail(Code::invalid, std::move(*problem));
  return spec;
}

std::string to_json(const Spec& spec) {
  json::array parts;
  for (const Part& part : spec.parts) {
    parts.push_back(json::object{{"component", part.component},
                                 {"name", part.name},
                                 {"version", part.version},
                                 {"type", part.type},
                                 {"store", part.store}});
  }
  const json::object target{{"devices", texts(spec.target.devices)},
                            {"type", spec.target.type},
                            {"tags", texts(spec.target.tags)},
                            {"everybody", spec.target.everybody}};
  return json::serialize(json::object{{"name", spec.name},
                                      {"parts", std::move(parts)},
                                      {"target", target},
                                      {"policy", policy_json(spec.policy)}});
}

}  // namespace otagate::rollout
