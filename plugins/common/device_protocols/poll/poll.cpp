#include "common/device_protocols/poll/poll.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <boost/json.hpp>

#include "common/catalog_json/catalog_json.hpp"
#include "common/device_protocols/answers.hpp"
#include "common/device_protocols/poll/report.hpp"

namespace otagate::plugins::devices {
namespace {

constexpr std::string_view kComponent = "application";
constexpr std::size_t kMaxPairs = 32;  // components, and attributes
constexpr std::size_t kMaxText = 256;  // bytes of one
constexpr std::uint64_t kMaxWaitS = 86'400;

// The same path whoever asks and whatever else has that name and version: bytes are named by their digest,
// and a credential that may see the firmware may fetch it.
std::string part_url(const std::string& base_url, const sdk::OfferPart& part) {
  if (!part.sha256.empty()) return base_url + "/blobs/sha256/" + part.sha256;
  sdk::Firmware firmware;
  firmware.name = part.name;
  firmware.version = part.version;
  return base_url + firmware_path(firmware);
}

boost::json::object part_json(const std::string& base_url, const sdk::OfferPart& part) {
  boost::json::object out;
  out["name"] = part.name;
  out["version"] = part.version;
  out["component"] = part.component.empty() ? kComponent : std::string_view(part.component);
  out["url"] = part_url(base_url, part);
  if (part.size == OTAGATE_SIZE_UNKNOWN) {
    out["size"] = nullptr;
  } else {
    out["size"] = part.size;
  }
  out["sha256"] = part.sha256.empty() ? boost::json::value(nullptr) : boost::json::value(part.sha256);
  if (!part.params.empty()) {
    boost::json::object params;
    for (const auto& [key, value] : part.params) params[key] = value;
    out["params"] = std::move(params);
  }
  return out;
}

Response update_answer(const std::string& base_url, const sdk::Offer& offer) {
  if (!offer || offer.parts.empty()) {
    Response none;
    none.status = 204;
    none.retry_after = seconds_of(offer.next_after_ms);
    return none;
  }
  boost::json::object out = part_json(base_url, offer.parts.front());
  // As text: a number of 64 bits is more than many readers of JSON can hold.
  out["deployment"] = std::to_string(offer.attempt);
  out["mode"] = offer.download_only ? "download_only" : "update";
  if (offer.lease_ms != 0) out["report_within"] = seconds_of(offer.lease_ms);
  if (offer.parts.size() > 1) {
    boost::json::array parts;
    for (const auto& part : offer.parts) parts.push_back(part_json(base_url, part));
    out["parts"] = std::move(parts);
  }
  return json_response(200, boost::json::serialize(out) + "\n");
}

// What a device says of itself in the query. Empty: it was taken; else why not.
struct Said {
  sdk::Pairs versions{};
  sdk::Pairs attributes{};
  std::uint64_t wait_s = 0;
  bool midway = false;
};

std::string add(sdk::Pairs& to, std::string_view key, std::string_view value, const std::string& what) {
  const auto fits = [](std::string_view text) {
    return text.size() <= kMaxText && text.find('\0') == std::string_view::npos;
  };
  if (key.empty() || !fits(key) || !fits(value))
    return "the name of " + what + " has 1 to 256 bytes, its value at most 256, and neither has a NUL";
  if (to.size() == kMaxPairs) return "there may be " + what + " 32 times at most";
  const bool twice = std::any_of(to.begin(), to.end(), [&](const auto& pair) { return pair.first == key; });
  if (twice) return what + " is there twice";
  to.emplace_back(key, value);
  return {};
}

std::string read_query(const Request& request, Said& out) {
  constexpr std::string_view kVersionOf = "version.";
  constexpr std::string_view kAttribute = "attribute.";
  for (const auto& [key, value] : request.query) {
    const std::string_view name = key;
    std::string problem;
    if (name == "version") {
      if (!value.empty()) problem = add(out.versions, kComponent, value, "a component");
    } else if (name.rfind(kVersionOf, 0) == 0) {
      problem = add(out.versions, name.substr(kVersionOf.size()), value, "a component");
    } else if (name.rfind(kAttribute, 0) == 0) {
      problem = add(out.attributes, name.substr(kAttribute.size()), value, "an attribute");
    } else if (name == "wait") {
      const auto seconds = parse_number(value, kMaxWaitS);
      if (!seconds) return "wait is a number of seconds, at most 86400";
      out.wait_s = *seconds;
    } else if (name == "midway") {
      if (value != "0" && value != "1") return "midway is 0 or 1";
      out.midway = value == "1";
    }
    if (!problem.empty()) return problem;
  }
  return {};
}

void report(const Request& request, Gateway& gateway, Respond respond) {
  if (request.method != Method::post) return respond(method_not_allowed("POST"));
  if (request.body.size() > poll::kMaxReport) return respond(problem(413, "a report has at most 8192 bytes"));
  const auto read = poll::read_report(request.body);
  if (!read) return respond(refusal(read.status, 0, read.message));
  sdk::Progress progress;
  progress.attempt = read.value.deployment;
  progress.state = read.value.state;
  progress.part = read.value.part;
  progress.offset = read.value.offset;
  progress.code = read.value.code;
  progress.message = read.value.message;
  progress.principal = request.principal;
  progress.device = request.path[2];
  const std::string deployment = std::to_string(progress.attempt);
  const bool failed = progress.state == OTAGATE_ATTEMPT_FAILED;
  gateway.progress(
      progress, [respond = std::move(respond), deployment, failed](const sdk::Outcome<std::uint32_t>& told) {
        if (told.status == OTAGATE_PRECONDITION)
          return respond(problem(410, told.message.empty() ? "the deployment is over" : told.message));
        if (told.status == OTAGATE_NOT_FOUND)
          return respond(problem(404, "this device has no deployment " + deployment +
                                          ": it is over, or was never its own; ask for its update again"));
        if (!told) return respond(refusal(told.status, told.retry_after_ms, told.message));
        // To one that has failed "stop" is no news.
        if (told.value == OTAGATE_STOP && !failed)
          return respond(problem(410, "deployment " + deployment +
                                          " is over for this device: stop, and ask for its update again"));
        Response taken;
        taken.status = 204;
        respond(std::move(taken));
      });
}

}  // namespace

void Poll::handle(const Request& request, Gateway& gateway, Respond respond) const {
  const auto& device = request.path[2];
  if (device.empty() || device.size() > kMaxText || device.find('\0') != std::string::npos)
    return respond(problem(400, "the device's id in the path has 1 to 256 bytes and no NUL"));
  if (request.path[3] == "report") return report(request, gateway, std::move(respond));
  update(request, gateway, std::move(respond));
}

void Poll::update(const Request& request, Gateway& gateway, Respond respond) const {
  if (request.method != Method::get) return respond(method_not_allowed("GET"));
  Said said;
  if (const auto why = read_query(request, said); !why.empty()) return respond(problem(400, why));
  const auto type = request.parameter("type");
  sdk::CheckIn who;
  who.principal = request.principal;
  who.device = request.path[2];
  who.type = request.principal_type.empty() ? std::string_view(type) : request.principal_type;
  who.address = request.peer;
  who.versions = std::move(said.versions);
  who.attributes = std::move(said.attributes);
  who.midway = said.midway;
  who.deadline_ms = std::min(said.wait_s * 1000, max_poll_ms_);
  gateway.check_in(who, [respond = std::move(respond),
                         base_url = std::string(request.base_url)](const sdk::Outcome<sdk::Offer>& offered) {
    if (!offered) return respond(refusal(offered.status, offered.retry_after_ms, offered.message));
    respond(update_answer(base_url, offered.value));
  });
}

}  // namespace otagate::plugins::devices
