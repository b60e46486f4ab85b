#include "common/device_protocols/poll/report.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include <boost/json.hpp>

#include "common/device_protocols/answers.hpp"

namespace otagate::plugins::devices::poll {
namespace {

using State = std::pair<std::string_view, std::uint32_t>;
constexpr std::array<State, 5> kStates = {
    State{"downloading", OTAGATE_ATTEMPT_DOWNLOADING}, State{"downloaded", OTAGATE_ATTEMPT_DOWNLOADED},
    State{"applying", OTAGATE_ATTEMPT_APPLYING}, State{"succeeded", OTAGATE_ATTEMPT_CONFIRMED},
    State{"failed", OTAGATE_ATTEMPT_FAILED}};

constexpr std::array<std::string_view, 7> kMembers = {"deployment", "state",   "part",   "offset",
                                                      "code",       "message", "version"};

constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::uint64_t>::max();

// Refused messages are shown: whatever of them is a peer's own words is kept short and in one line.
std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 40)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  // A character may have been cut.
  while (out.size() > 1 && (static_cast<unsigned char>(out.back()) & 0x80U) != 0) out.pop_back();
  return out + "\"";
}

std::optional<std::uint64_t> number_of(const boost::json::value& value, std::uint64_t max) {
  if (value.is_uint64() && value.get_uint64() <= max) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0 && static_cast<std::uint64_t>(value.get_int64()) <= max)
    return static_cast<std::uint64_t>(value.get_int64());
  return std::nullopt;
}

// No NUL goes through to the gateway's texts, and no character is cut in two.
std::string text_of(const boost::json::string& text) {
  std::string out(text.data(), text.size());
  for (char& c : out) {
    if (c == '\0') c = ' ';
  }
  if (out.size() > kMaxMessage) {
    std::size_t end = kMaxMessage;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0U) == 0x80U) --end;
    out.resize(end);
  }
  return out;
}

// One of kMembers. Empty: it was taken.
std::string take(Report& out, std::string_view name, const boost::json::value& value) {
  if (name == "deployment") {
    const auto number =
        value.is_string() ? parse_number(value.get_string(), kMaxNumber) : number_of(value, kMaxNumber);
    if (!number || *number == 0) return "\"deployment\" is what the update's answer gave";
    out.deployment = *number;
    return {};
  }
  if (name == "state") {
    for (const auto& [text, state] : kStates) {
      if (!value.is_string() || value.get_string() != text) continue;
      out.state = state;
      return {};
    }
    return "\"state\" is one of downloading, downloaded, applying, succeeded, failed" +
           (value.is_string() ? ", not " + shown(value.get_string()) : std::string());
  }
  if (name == "part") {
    const auto number = number_of(value, kMaxParts - 1);
    if (!number) return "\"part\" is the number of a part, from 0 on";
    out.part = static_cast<std::uint32_t>(*number);
    return {};
  }
  if (name == "offset") {
    const auto number = number_of(value, kMaxNumber);
    if (!number) return "\"offset\" is how many bytes the device has: a whole number, 0 or more";
    out.offset = *number;
    return {};
  }
  if (name == "code") {
    if (!value.is_int64() || value.get_int64() < std::numeric_limits<std::int32_t>::min() ||
        value.get_int64() > std::numeric_limits<std::int32_t>::max())
      return "\"code\" is a whole number of 32 bits";
    out.code = static_cast<std::int32_t>(value.get_int64());
    return {};
  }
  if (!value.is_string()) return shown(name) + " is a string";
  (name == "message" ? out.message : out.version) = text_of(value.get_string());
  return {};
}

sdk::Outcome<Report> refuse(std::string why) {
  sdk::Outcome<Report> out;
  out.status = OTAGATE_INVALID;
  out.message = std::move(why);
  return out;
}

}  // namespace

sdk::Outcome<Report> read_report(std::string_view body) {
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 4;
  const auto value = boost::json::parse(body, error, {}, options);
  if (error) return refuse("the body is not JSON: " + error.message());
  if (!value.is_object()) return refuse("the body must be a JSON object");
  const auto& object = value.get_object();
  sdk::Outcome<Report> out;
  for (const auto& member : object) {
    const std::string_view name = member.key();
    if (std::find(kMembers.begin(), kMembers.end(), name) == kMembers.end())
      return refuse("there is no member " + shown(name) +
                    "; there are deployment, state, part, offset, code, message and version");
    if (member.value().is_null()) continue;  // as if it were not there
    if (auto why = take(out.value, name, member.value()); !why.empty()) return refuse(std::move(why));
  }
  for (const auto* needed : {"deployment", "state"}) {
    const auto* member = object.if_contains(needed);
    if (member == nullptr || member->is_null()) return refuse("\"" + std::string(needed) + "\" is missing");
  }
  if (out.value.message.empty() && !out.value.version.empty())
    out.value.message = "runs " + out.value.version;
  return out;
}

}  // namespace otagate::plugins::devices::poll
